"""The application of a schema change: one or both of its versions at a time, without a pause.

As in writers.py, each change notes in its own transaction, behind the lock on the row, what the row
then is; the history of a row is in the order of its changes and holds what was committed. No
statement here is one that the plain change of the schema would refuse, so none may be refused.
"""
from __future__ import annotations

import random
import threading
import time
from typing import Callable

from ddl_forms import COLUMNS, OLD, Shape
from pg import Connection, SqlError
from writers import Account

# Of a row that is updated: the column, and its new value as SQL, of rng and of what is unique.
UPDATES: dict[str, Callable[[random.Random, str], str]] = {
    "x": lambda rng, mark: str(rng.randint(0, 999)),
    "code": lambda rng, mark: f"'{rng.randint(0, 9_999)}'",
    "mood": lambda rng, mark: f"'{rng.choice(('sad', 'ok', 'happy'))}'",
    "price": lambda rng, mark: f"{rng.randint(0, 9_999)}.{rng.choice(('25', '5', '75', '0'))}",
    "email": lambda rng, mark: f"'{mark}@y'",
    "note": lambda rng, mark: f"'noted {mark}'",
    "dim_id": lambda rng, mark: rng.choice(("NULL", str(rng.randint(0, 9)))),
}
KINDS = ("touch", "touch", *UPDATES, "insert", "insert", "insert drawn", "upsert", "delete", "item",
         "read")
# A stall is the lock service's business; this long is a failure whatever the machine does besides.
_LOCK_TIMEOUT = "20s"
_RETRIED = {"40001", "40P01"}  # By rivals, where there are any (faults.py, F5).


def logged(change: str, shape: Shape, writer: int, op: int, kind: str) -> str:
    """`change` has no RETURNING yet."""
    columns = ", ".join(f"{shape.name(column)} AS {column}" for column in COLUMNS)
    image = ", ".join(f"'{column}', w.{column}::text" for column in COLUMNS)
    return (f"WITH w AS ({change} RETURNING {columns}) INSERT INTO app.history (writer, op, kind, "
            f"image) SELECT {writer}, {op}, '{kind}', jsonb_build_object({image}) FROM w")


def insert_sql(shape: Shape, values: dict[str, str]) -> str:
    names = ", ".join(shape.insert_name(column) for column in values)
    return f"INSERT INTO {shape.table} ({names}) VALUES ({', '.join(values.values())})"


def new_row(rng: random.Random, mark: str, n: int | None) -> dict[str, str]:
    """Values as SQL; without a key where the table is to draw one."""
    row = {"uid": f"'{mark}'", "grp": str(rng.randint(0, 9)),
           **{column: value(rng, mark) for column, value in UPDATES.items()}}
    return row if n is None else {"n": str(n), **row}


class DdlWriters:
    """Not for several threads at once. `url` is asked anew for each connection."""

    def __init__(self, url: Callable[[], str], rows: int, seed: int, *, threads: int,
                 per_second: float, has_key: bool):
        self._url = url
        self._rows = rows
        self._kinds = [k for k in KINDS if has_key or k not in ("upsert", "item")]
        self._pause = threads / per_second
        self._shapes: tuple[Shape, ...] = (OLD,)
        self._stopping = threading.Event()
        self._at_work = [threading.Lock() for _ in range(threads)]
        self.accounts = [Account() for _ in range(threads)]
        self.first_refusal = ""
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

    def use(self, *shapes: Shape) -> None:
        """From its return on no statement is under way that uses another shape; without one, none."""
        self._shapes = shapes
        for at_work in self._at_work:
            if at_work.acquire(timeout=60):
                at_work.release()

    def changes(self) -> int:
        return sum(len(account.acknowledged) for account in self.accounts)

    def _run(self, writer: int, rng: random.Random) -> None:
        connection: Connection | None = None
        op = 0
        while not self._stopping.is_set():
            with self._at_work[writer - 1]:
                if self._shapes:
                    op += 1
                    connection = self._one(connection, writer, op, rng)
            self._stopping.wait(self._pause * rng.uniform(0.2, 1.8))
        if connection:
            connection.close()

    def _one(self, connection: Connection | None, writer: int, op: int,
             rng: random.Random) -> Connection | None:
        account = self.accounts[writer - 1]
        shape = rng.choice(self._shapes)
        kind = rng.choice(self._kinds)
        statement = self._statement(shape, writer, op, kind, rng)
        try:
            if connection is None:
                connection = Connection(self._url())
                connection.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")
        except SqlError:
            self._stopping.wait(0.05)
            return None
        began = time.monotonic()
        try:
            if connection.execute(statement) > 0 and kind != "read":
                account.acknowledged.add((writer, op))
            account.latency_max = max(account.latency_max, time.monotonic() - began)
            return connection
        except SqlError as error:
            if error.broken:
                account.in_doubt += kind != "read"  # The history knows.
                connection.close()
                return None
            account.deadlocks += error.sqlstate == "40P01"
            if error.sqlstate not in _RETRIED:
                account.refused[error.sqlstate] = account.refused.get(error.sqlstate, 0) + 1
                self.first_refusal = self.first_refusal or f"{error}; {statement}"
            return connection

    def _statement(self, shape: Shape, writer: int, op: int, kind: str, rng: random.Random) -> str:
        mark = f"w{writer}-{op}"
        key = rng.randint(1, self._rows)
        if rng.random() < 0.3:  # One of those that were inserted meanwhile, perhaps.
            key = 1_000_000 * writer + rng.randint(1, op)
        where = f"WHERE {shape.name('n')} = {key}"
        if kind == "read":
            return f"SELECT {', '.join(shape.name(c) for c in COLUMNS)} FROM {shape.table} {where}"
        if kind == "item":
            return ("WITH p AS (SELECT uid, " + shape.name("n") + f" AS n FROM {shape.table} {where}"
                    " FOR KEY SHARE), w AS (INSERT INTO item (t_n, qty) SELECT n, 1 FROM p "
                    "RETURNING t_n) INSERT INTO app.history (writer, op, kind, image) SELECT "
                    f"{writer}, {op}, 'item', jsonb_build_object('uid', p.uid) FROM p JOIN w ON "
                    "w.t_n = p.n")
        if kind == "delete":
            change = f"DELETE FROM {shape.table} {where}"
        elif kind.startswith("insert"):
            n = None if kind == "insert drawn" else 1_000_000 * writer + op
            change = insert_sql(shape, new_row(rng, mark, n))
        elif kind == "upsert":
            # By a key that may be there, and that no other thread inserts.
            if key <= self._rows:
                key += (writer - key) % len(self.accounts)
            change = insert_sql(shape, new_row(rng, mark, key)) + (
                f" ON CONFLICT ({shape.insert_name('n')}) DO UPDATE SET updates = "
                f"{shape.table}.updates + 1")
        elif kind == "touch":
            change = f"UPDATE {shape.table} SET updates = updates + 1 {where}"
        else:
            change = f"UPDATE {shape.table} SET {shape.set_name(kind)} = " + \
                f"{UPDATES[kind](rng, mark)} {where}"
        return logged(change, shape, writer, op, kind)
