"""One run of the campaign that changes the schema: end to end, and everything that is found wrong.

The judge is a copy of the database as it was before, on which the plain statement is run: what
pg_dump says of both must be the same, or the same as before where the run was taken back. The rows
must be what the application has noted, under each name that it has for them.
"""
from __future__ import annotations

import json
import os
import subprocess
import threading
import time

from ddl_forms import OLD, Shape, create_sql, image_sql
from ddl_judge import Row, faults_of_catalogue, faults_of_rows, replay
from ddl_scenario import (CONTRACT, DONE, GIVE_UP_THE_WAY_BACK, REVERT_FROM_THE_MIDDLE,
                          DdlScenario)
from ddl_writers import DdlWriters, insert_sql, logged, new_row
from lane import Lane, SmallDisk
from pawl import Pawl, ask
from pg import Connection, SqlError
from poison import DDL_SABOTAGES
from run import REFUSALS, Run
from server import BIN
from stage import Outcome, Programs

# The writer that inserts what the new shape cannot bear, and takes it away again.
_OPERATOR = 99
_OURS = ("--exclude-schema=pawl", "--exclude-schema=app", "--schema-only", "--no-tablespaces")


class DdlRun(Run):
    """A scenario that is being played. Played once."""

    scenario: DdlScenario  # type: ignore[assignment]
    _writers: DdlWriters  # type: ignore[assignment]
    _lifted = ("pace=0", "throttle=off", "limit.stall=5s")

    def _prepare(self) -> None:
        scenario = self.scenario
        self._patience *= 2  # Up to twenty steps, many of them behind a lock of the table's.
        self.strangers: list[str] = []  # What somebody else has done to the schema.
        self._bad_rows = 0
        self._ops = 0
        self._plain = f"plain_{scenario.seed}"
        with Connection(self.server.url()) as admin:
            for name in (self.database, self._plain):
                admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            admin.execute(f"CREATE DATABASE {self.database}")
        with self.admin() as admin:
            admin.execute(create_sql(self.change, scenario.rows, scenario.fillfactor,
                                     scenario.extras))
        with Connection(self.server.url()) as admin:
            admin.execute(f"CREATE DATABASE {self._plain} TEMPLATE {self.database}")
        if any(fault.name == "no room" for fault in scenario.faults):
            self.disk = SmallDisk(self.server)
        self._prepare_ground()
        with open(self._file, "w") as file:
            file.write(self.change.sql + "\n")
        self._writers = DdlWriters(
            lambda: self.server.url(self.database), scenario.rows, scenario.seed,
            threads=scenario.writers, per_second=scenario.changes_per_second,
            has_key=self.change.key == "PRIMARY KEY")
        self._writers.start()
        self.outcome.injected.append("writers")

    def _perform(self) -> None:
        self._go_forward()
        if not self.outcome.liveness:
            self._end()
        self._work_a_while(0.2)
        self._stop_writers()
        self._check()

    def _go_forward(self) -> None:
        self._mark("run begins")
        forward = self.scenario.forward
        watch = threading.Thread(target=self._begin_early, daemon=True)
        if self.change.early and not any(f.server for f in forward) and \
                self.scenario.end != REVERT_FROM_THE_MIDDLE:
            watch.start()
        if not forward or not forward[0].starts:
            self.restart()
        self._inject(forward)
        if self.scenario.end == REVERT_FROM_THE_MIDDLE:
            self.wait_while_working(self.scenario.middle)
            self.stop_children()
            for child in self.children:
                self._check_code(child, child.wait(1) or 0)
            return
        self._complete()
        if watch.ident:
            watch.join()

    def _begin_early(self) -> None:
        """The newer version is at work as soon as it can write; until the run is done, which makes
        both shapes whole."""
        early, column = self.change.early, self.change.early_column
        assert early
        while "run is done" not in self.outcome.reached and not self.outcome.liveness:
            try:
                with self.admin() as admin:
                    if admin.number("SELECT count(*) FROM pg_attribute WHERE attrelid = "
                                    "to_regclass('t') AND attname = $1", column):
                        self._writers.use(OLD, early)
                        self.outcome.reached.add("early")
                        return
            except SqlError:
                pass  # A crash of the server's, perhaps.
            time.sleep(0.03)

    def _complete(self) -> None:
        self._finish("completed", {0})
        self._mark("run is done")
        if self.outcome.liveness:
            return
        if self.change.newer:
            assert self.change.older
            self._writers.use(self.change.older, self.change.newer)
            self._work_a_while(0.6)
            self._check_rows(self.change.older, self.change.newer)

    def _end(self) -> None:
        end = self.scenario.end
        if end == DONE:
            return
        if end == CONTRACT:
            self._contract()
            return
        self._writers.use(OLD)  # A way back leaves its names as they are.
        if end == GIVE_UP_THE_WAY_BACK and self._give_up_the_way_back():
            return
        if self.state() not in ("completed", "not begun"):
            self.command("abort")
        if self.state() != "not begun":
            self._back()
        if self.scenario.again and not self.outcome.liveness:
            self._once_more()

    def _contract(self) -> None:
        """Not before nobody uses the old shape any more."""
        if self.change.newer:
            self._writers.use(self.change.newer)
        self.forward, self.contracts = False, True
        self._mark("contract begins")
        self.restart()
        self._inject(self.scenario.back)
        self._finish("contracted", {0})
        self._mark("contracted")
        self.contracts = False

    def _give_up_the_way_back(self) -> bool:
        """Begins it and then contracts; false where it had come too far for that."""
        self.forward = False
        self._mark("revert begins")
        self.restart()
        self.wait_while_working(self.scenario.middle)
        self.stop_children()
        self._writers.use()  # Which shape there is depends on the answer.
        self.command("contract")
        if self.state() != "contracted":
            self._writers.use(OLD)
            return False
        self._mark("contracted")
        self._writers.use(self.change.newer or OLD)
        return True

    def _back(self) -> None:
        self.forward = False
        self._mark("revert begins")
        self.restart()
        self._inject(self.scenario.back)
        self._finish("reverted", {0})
        self._mark("revert is done")

    def _once_more(self) -> None:
        """The same file, after it was taken back: to the end."""
        self._mend()
        before, self._run, self.forward, self.children = self._run, 0, True, []
        self.restart()
        self.wait_until(lambda: self._newest_run() > before or not self.at_work(), 10)
        self._run = self._newest_run()
        self._complete()
        if self.change.contracts and not self.outcome.liveness:
            self._contract()

    def _newest_run(self) -> int:
        self._run = 0
        return self._find_run()

    # ---- For faults ----

    def put_new_relations_on_the_disk(self) -> None:
        """Not Pawl's own, which are there by then."""
        ask(self._binary, ["init"], self.server.url(self.database))
        if self.disk.possible:
            with self.admin() as admin:
                admin.execute(f"ALTER DATABASE {self.database} SET default_tablespace = "
                              f"{self.disk.name}")

    def batches(self) -> int:
        """How far it is: batches, and steps that are done or taken back."""
        try:
            with self.admin() as admin:
                if not admin.value("SELECT to_regclass('pawl.step')"):
                    return 0
                return admin.number("SELECT (SELECT count(*) FROM pawl.ledger) + (SELECT count(*) "
                                    "FROM pawl.step WHERE state <> 'pending')")
        except SqlError:
            return 0

    def wait_for_batches(self, count: int) -> None:
        before = self.batches()
        self.wait_until(lambda: self.batches() >= before + count or not self.at_work(), 1)

    def violate(self, seconds: float, beyond: bool = False) -> None:
        """A row that the new shape cannot bear, or the old one, is written, and committed after so
        long."""
        violation = self.change.beyond if beyond else self.change.violation
        assert violation
        self._ops += 1
        mark = f"bad {self._ops}"
        row = new_row(self.rng, mark, None) | {violation.column: violation.value}
        with self.admin() as session:
            try:
                session.execute("BEGIN; SET LOCAL lock_timeout = '20s'")
                session.execute(logged(insert_sql(OLD, row), OLD, _OPERATOR, self._ops, "insert"))
                time.sleep(seconds)
                session.execute("COMMIT")
                self._bad_rows += 1
                self.note(f"{mark} is accepted")
            except SqlError as error:
                if error.broken:
                    raise
                self.note(f"{mark} is refused: {error}")
                if error.sqlstate not in violation.states:
                    self.wrong(f"a row that does not fit is refused with {error.sqlstate}: {error}")

    # ---- Small things ----

    def _words(self) -> list[str]:
        workers = ["--workers", str(self.scenario.workers)]
        if self.contracts:
            return ["contract", str(self._run)]
        if self.forward:
            pace = ["--pace", str(int(self.scenario.rows / self.scenario.seconds))]
            return ["run", self._file, *pace, *workers]
        conflicts = "force" if self.change.forces else "skip"
        return ["revert", str(self._run), "--on-conflict", conflicts, *workers]

    def _before_restart(self) -> None:
        if self.state() in ("failed", "reverting"):
            self._mend()

    def _mend(self) -> None:
        """The operator takes away the rows that do not fit."""
        if self._bad_rows == 0:
            return
        with self.admin() as admin:
            self._ops += 1
            admin.execute(logged("DELETE FROM t WHERE uid LIKE 'bad %'", OLD, _OPERATOR, self._ops,
                                 "delete"))
        self._bad_rows = 0

    def _work_a_while(self, seconds: float) -> None:
        before = self._writers.changes()
        time.sleep(seconds)
        if not self.wait_until(lambda: self._writers.changes() > before + 5, 20):
            self.liveness("the application has come to a stop")

    def _table(self) -> str:
        is_new = self.state() == "contracted" and self.change.newer
        return self.change.newer.table if is_new and self.change.newer else "t"

    # ---- Judgement ----

    def _check(self) -> None:
        if self.outcome.liveness:
            return
        if self._sabotage:
            with self.admin() as admin:
                admin.execute(DDL_SABOTAGES[self._sabotage].replace("{t}", self._table()))
        state = self.state()
        is_new = state in ("completed", "contracted")
        self._check_rows(self.change.newer if is_new and self.change.newer else OLD)
        self._check_refusals()
        with self.admin() as admin:
            self._check_left_overs(admin)
            if is_new and self.change.proof and admin.number(self.change.proof):
                self.wrong(f"rows are left that are not as they should: {self.change.proof}")
        self._check_catalogue(is_new)

    def _check_rows(self, *shapes: Shape) -> None:
        """In one snapshot, so that the application may go on meanwhile."""
        with self.admin() as admin:
            admin.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            before = [json.loads(row) for (row,) in admin.query("SELECT image FROM app.before")]
            lines = admin.query("SELECT writer, op, kind, image FROM app.history WHERE writer > 0 "
                                "ORDER BY seq")
            history: list[tuple[str, Row]] = [(kind or "", json.loads(image or ""))
                                              for _, _, kind, image in lines]
            rows, items = replay(before, history)
            for shape in shapes:
                found = [json.loads(image) for (image,) in
                         admin.query(f"SELECT {image_sql(shape, 's')} FROM {shape.table} AS s")]
                for text in faults_of_rows(rows, found):
                    self.outcome.lost.append(f"by {shape.name('n')} of {shape.table} "
                                             f"{shape.names}: {text}")
                if self.change.key == "PRIMARY KEY":
                    self._check_items(admin, shape, dict(items))
            committed = {(int(w or 0), int(o or 0)) for w, o, _, _ in lines}
        self.outcome.rows_written += len(committed)
        self._committed = committed

    def _check_items(self, admin: Connection, shape: Shape, items: dict[str, int]) -> None:
        found = {uid: int(count or 0) for uid, count in admin.query(
            f"SELECT s.uid, count(*) FROM {shape.table} AS s JOIN item ON item.t_n = "
            f"s.{shape.name('n')} GROUP BY s.uid")}
        if found != items:
            wrong = {u: (items.get(u), found.get(u)) for u in items.keys() | found.keys()
                     if items.get(u) != found.get(u)}
            self.outcome.lost.append(f"children of rows (written, found): {dict(wrong)}")

    def _check_refusals(self) -> None:
        accounts = self._writers.accounts
        acknowledged = set().union(*(account.acknowledged for account in accounts))
        missing = acknowledged - self._committed
        if missing:
            self.outcome.lost.append(f"{len(missing)} changes of the application were acknowledged "
                                     f"and are gone: {sorted(missing)[:5]}")
        allowed = {state for fault in self.scenario.faults
                   for state in REFUSALS.get(fault.name, set())}
        for account in accounts:
            for state, count in account.refused.items():
                if state not in allowed:
                    self.wrong(f"the application was refused {count} times with SQLSTATE {state}: "
                               f"{self._writers.first_refusal}")

    def _check_left_overs(self, admin: Connection) -> None:
        """What pg_dump does not show."""
        for (name,) in admin.query("SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid"):
            self.wrong(f"the index {name} is left, and invalid")
        for (name,) in admin.query("SELECT tgname FROM pg_trigger WHERE tgenabled <> 'O'"):
            self.wrong(f"the trigger {name} is left, and not enabled as usual")

    def _check_catalogue(self, is_new: bool) -> None:
        with Connection(self.server.url(self._plain)) as plain:
            for sql in [*self.strangers, *([self.change.sql] if is_new else [])]:
                plain.execute(sql)
        expected, found = self._dump(self._plain), self._dump(self.database)
        for text in faults_of_catalogue(expected, found):
            self.wrong(text)

    def _dump(self, database: str) -> str:
        done = subprocess.run([f"{BIN}/pg_dump", *_OURS, self.server.url(database)],
                              capture_output=True, text=True, check=True)
        with open(os.path.join(self.directory, f"{database}.catalogue"), "w") as file:
            file.write(done.stdout)
        return done.stdout

    def _clear_up(self) -> None:
        super()._clear_up()
        with Connection(self.server.url()) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {self._plain} WITH (FORCE)")


def play_ddl(scenario: DdlScenario, lane: Lane, programs: Programs, directory: str,
             sabotage: str | None = None) -> Outcome:
    os.makedirs(directory, exist_ok=True)
    return DdlRun(scenario, lane, programs, directory, sabotage).play()  # type: ignore[arg-type]
