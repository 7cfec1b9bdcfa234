"""The application: threads that insert, update and delete rows while the run is at work.

Each change writes, in its own transaction and after it holds the row, a line of app.history with
the row as it then is. So the history of a row is in the order in which its changes happened, it
holds exactly what was committed, and what the application saw.
"""
from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from typing import Callable

from pg import Connection, SqlError
from table import UPDATES, Key, inserted, mark_of

# Rolled back, and no harm done: serialization, deadlock, lock not available, cancelled.
_RETRIED = {"40001", "40P01", "55P03", "57014"}


@dataclass
class Account:
    acknowledged: set[tuple[int, int]] = field(default_factory=set)  # Writer and op.
    in_doubt: int = 0
    deadlocks: int = 0
    refused: dict[str, int] = field(default_factory=dict)  # By SQLSTATE.
    latency_max: float = 0.0


class Writers:
    """`url` is asked anew for each connection: after a failover it is another."""

    def __init__(self, url: Callable[[], str], key: Key, rows: int, seed: int, *, threads: int,
                 mix: tuple[str, ...], per_second: float, reuse_keys: bool, rivals: bool):
        self._url = url
        self._key = key
        self._rows = rows
        self._mix = mix
        self._reuse_keys = reuse_keys
        self._rivals = rivals
        self._pause = threads / per_second
        self._stopping = threading.Event()
        self.accounts = [Account() for _ in range(threads)]
        self._threads = [
            threading.Thread(target=self._run, args=(i + 1, random.Random(seed * 100 + i)),
                             daemon=True) for i in range(threads)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> bool:
        """Ends the threads. Returns false where one still waits for an answer after a minute."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)
        return not any(thread.is_alive() for thread in self._threads)

    def _identity(self, i: int) -> int:
        spread = self._key.spread
        return i if spread == 1 else i * spread + (i * i) % (spread // 2)

    def _run(self, writer: int, rng: random.Random) -> None:
        account = self.accounts[writer - 1]
        connection: Connection | None = None
        op = 0
        tail = 0
        while not self._stopping.is_set():
            op += 1
            kind = rng.choice(self._mix)
            n = self._identity(rng.randint(1, self._rows))
            other = self._identity(rng.randint(1, min(self._rows, 40)))
            if kind == "insert" and (not self._reuse_keys or rng.random() < 0.5):
                tail += 1
                n = self._identity(self._rows + tail * 10 + writer)
            pair = self._rivals and kind in UPDATES and n != other and rng.random() < 0.7
            if pair and rng.random() < 0.9:
                n = self._identity(rng.randint(1, min(self._rows, 40)))
                pair = n != other
            try:
                if connection is None:
                    connection = Connection(self._url())
                    connection.execute("SET lock_timeout = '20s'")
            except SqlError:
                self._stopping.wait(0.05)
                continue
            began = time.monotonic()
            try:
                if self._change(connection, writer, op, kind, [n, other] if pair else [n]):
                    account.acknowledged.add((writer, op))
                account.latency_max = max(account.latency_max, time.monotonic() - began)
            except SqlError as error:
                connection = self._settle(connection, error, account)
            self._stopping.wait(self._pause * rng.uniform(0.2, 1.8))
        if connection:
            connection.close()

    def _settle(self, connection: Connection, error: SqlError, account: Account) -> Connection | None:
        if error.broken:
            account.in_doubt += 1  # The history knows.
            connection.close()
            return None
        if error.sqlstate in _RETRIED:
            account.deadlocks += error.sqlstate == "40P01"
        else:
            account.refused[error.sqlstate] = account.refused.get(error.sqlstate, 0) + 1
        try:
            connection.execute("ROLLBACK")
            return connection
        except SqlError:
            connection.close()
            return None

    def _change(self, connection: Connection, writer: int, op: int, kind: str,
                rows: list[int]) -> bool:
        """Returns whether anything was changed and acknowledged."""
        if len(rows) == 1:
            return self._one(connection, writer, op, kind, rows[0]) > 0
        connection.execute("BEGIN")
        count = sum(self._one(connection, writer, op, kind, n) for n in rows)
        connection.execute("COMMIT")
        return count > 0

    def _one(self, connection: Connection, writer: int, op: int, kind: str, n: int) -> int:
        mark = mark_of(writer, op)
        log = (f"INSERT INTO app.history (writer, op, kind, n, image) SELECT {writer}, {op}, "
               f"'{kind}', {n}, to_jsonb(w) FROM w")
        key = self._key.of(n)
        if kind == "delete":
            return connection.execute(
                f"WITH w AS (DELETE FROM t WHERE {self._key.where()} RETURNING *) {log}", *key)
        if kind == "insert":
            row = inserted(self._key, n, mark)
            values = ", ".join(f"${i}" for i in range(1, len(row) + 1))
            return connection.execute(
                f"WITH w AS (INSERT INTO t ({', '.join(row)}) VALUES ({values}) "
                f"ON CONFLICT DO NOTHING RETURNING *) {log}", *row.values())
        assign, _ = UPDATES[kind]
        return connection.execute(
            f"WITH w AS (UPDATE t SET {assign.replace('$1', str(mark))} WHERE {self._key.where()} "
            f"RETURNING *) {log}", *key)
