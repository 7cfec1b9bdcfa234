"""Online forms over a large schema, compared with the plain statements. See README.md."""
from __future__ import annotations

import argparse
import collections
import os
import random
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "campaign"))

from forms import Draw, Statement  # noqa: E402
from generator import Generator  # noqa: E402
from kinds import ROLES  # noqa: E402
from names import quoted  # noqa: E402
from pair import Pair, Verdict, kind_of  # noqa: E402
from pg import Connection, SqlError  # noqa: E402
from server import Server  # noqa: E402

_CONFIGURATION = """
autovacuum = off
max_locks_per_transaction = 400
timezone = 'Europe/Berlin'
"""
_CHAPTER = 25  # Statements on one pair of databases; it ends earlier with a difference.


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/schemas", description=__doc__)
    parser.add_argument("--tables", type=int, default=300)
    parser.add_argument("--statements", type=int, help="so many (default: 100, or as --minutes says)")
    parser.add_argument("--minutes", type=float, help="so long")
    parser.add_argument("--seed", type=int, help="of schema and statements; printed by each run")
    parser.add_argument("--chapter", type=int, help="this one alone, as a replay says")
    parser.add_argument("--form", help="only statements whose form begins so")
    parser.add_argument("--describe", action="store_true", help="print the schema, and run nothing")
    parser.add_argument("--verbose", action="store_true", help="a line for each statement")
    parser.add_argument("--binary", required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


class Run:
    def __init__(self, arguments: argparse.Namespace):
        self._arguments = arguments
        self._seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1, 10**6)
        self._statements_max = arguments.statements or (10**9 if arguments.minutes else 100)
        if arguments.chapter is not None:
            self._statements_max = min(self._statements_max, _CHAPTER)
        self._until = time.monotonic() + (arguments.minutes or 10**6) * 60
        self._played: list[tuple[Statement, Verdict, int]] = []
        self._failed: list[tuple[int, str]] = []
        self._directory = tempfile.mkdtemp(prefix="pawl-schemas-")
        os.chmod(self._directory, 0o755)

    def run(self) -> int:
        print(f"seed {self._seed}; {self._arguments.tables} tables; directory {self._directory}", flush=True)
        script = Generator(self._seed, self._arguments.tables).statements()
        if self._arguments.describe:
            print(";\n\n".join(script) + ";")
            shutil.rmtree(self._directory)
            return 0
        server = Server.create(os.path.join(self._directory, "server"))
        with open(os.path.join(server.data, "postgresql.conf"), "a") as file:
            file.write(_CONFIGURATION)
        server.start()
        began = time.monotonic()
        try:
            self._make_origin(server, script)
            print(f"made in {time.monotonic() - began:.0f} s", flush=True)
            began = time.monotonic()
            chapter = self._arguments.chapter or 0
            while not self._is_over():
                self._play_chapter(server, chapter)
                if self._arguments.chapter is not None:
                    break
                chapter += 1
        finally:
            server.remove()
        return self._report(time.monotonic() - began)

    def _is_over(self) -> bool:
        return len(self._played) >= self._statements_max or time.monotonic() > self._until

    def _make_origin(self, server: Server, script: list[str]) -> None:
        with Connection(server.url()) as admin:
            for role in ROLES:
                admin.execute(f"CREATE ROLE {quoted(role)}")
            admin.execute("CREATE DATABASE origin")
        with Connection(server.url("origin")) as session:
            for sql in [*script, "ANALYZE"]:
                try:
                    session.execute(sql)
                except SqlError as error:
                    raise SystemExit(f"seed {self._seed}: the generator drew what PostgreSQL refuses: {error}\n{sql}")

    def _play_chapter(self, server: Server, chapter: int) -> None:
        pair = Pair(server, self._arguments.binary, self._directory)
        try:
            for number in range(_CHAPTER):
                if self._is_over():
                    break
                statement, verdict = self._play_one(pair, chapter, number)
                self._played.append((statement, verdict, chapter))
                self._tell(statement, verdict, chapter)
                if verdict.outcome == "different":
                    self._failed.append((chapter, statement.sql))
                    return
                if verdict.outcome == "carried":
                    return  # The two are not alike any more.
            lines = pair.end()
            if lines:
                print(f"DIFFERENT at the end of chapter {chapter}:\n  " + "\n  ".join(lines[:20]), flush=True)
                self._failed.append((chapter, "at its end"))
        finally:
            pair.close()

    def _play_one(self, pair: Pair, chapter: int, number: int) -> tuple[Statement, Verdict]:
        rng = random.Random(f"{self._seed} {chapter} {number}")
        catalogue = pair.catalogue()
        while True:
            statement = Draw(rng, catalogue, chapter * 1000 + number).statement()
            if statement.form.startswith(self._arguments.form or ""):
                break
        take_back = statement.has_way_back and rng.random() < 0.25
        return statement, pair.play(statement, take_back)

    def _tell(self, statement: Statement, verdict: Verdict, chapter: int) -> None:
        if verdict.outcome == "different":
            print(f"DIFFERENT in chapter {chapter}: {statement.sql}\n  {verdict.why[:1500]}", flush=True)
            for line in verdict.lines[:40]:
                print(f"    {line[:300]}", flush=True)
        elif self._arguments.verbose:
            print(f"{verdict.outcome:12} {statement.sql[:200]}  {verdict.why[:300]}", flush=True)

    def _report(self, seconds: float) -> int:
        outcomes = ("equal", "taken back", "carried", "both refuse", "refused", "different")
        forms = sorted({statement.form for statement, _, _ in self._played})
        counts = collections.Counter((s.form, v.outcome) for s, v, _ in self._played)
        print(f"\n{'':32}" + "".join(f"{name:>13}" for name in outcomes))
        for form in forms:
            print(f"{form:32}" + "".join(f"{counts[form, name]:>13}" for name in outcomes))
        totals = collections.Counter(verdict.outcome for _, verdict, _ in self._played)
        print(f"{'all ' + str(len(self._played)):32}" + "".join(f"{totals[name]:>13}" for name in outcomes))
        print(f"in {seconds:.0f} s\n\nRefused, though PostgreSQL does it:")
        sentences: dict[str, list[str]] = collections.defaultdict(list)
        for statement, verdict, _ in self._played:
            if verdict.outcome == "refused":
                sentences[kind_of(verdict.why)].append(statement.sql)
        for sentence, statements in sorted(sentences.items(), key=lambda item: -len(item[1])):
            print(f"{len(statements):4}  {sentence[:600]}\n      e.g. {statements[0][:200]}")
        for chapter, _ in self._failed:
            print(f"replay: scripts/schemas --tables {self._arguments.tables} --seed {self._seed} --chapter {chapter}"
                  + (f" --form '{self._arguments.form}'" if self._arguments.form else ""))
        shutil.rmtree(self._directory, ignore_errors=True)
        if not self._played:
            print("No statement was played.")
        return 1 if self._failed or not self._played else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # Its server goes with it.
    sys.exit(Run(_arguments()).run())
