"""One run of the campaign: a scenario, end to end, and everything that is found wrong with it."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import traceback

from faults import Fault, NotPossible
from lane import Lane, SmallDisk
from ledger import ledger_faults
from oracle import Facts, Judge, Verdict, read_facts
from pawl import Pawl, ask
from pg import Connection, SqlError
from poison import SABOTAGES, poisons
from proxy import Proxy
from scenario import Scenario
from server import BIN
from stage import Outcome, Programs, Stage
from table import create_sql
from writers import Writers

# Failed for a reason that has gone away, a run is carried on by the operator; so often at most.
RESTARTS_MAX = 3
# A conflict that is no row: the column as a whole.
_KEPT = "reason LIKE 'the application has written to%'"
# What the application may be told while these faults are at work.
REFUSALS = {"rename": {"42P01"}, "full disk": {"53100"}, "no room": {"53100"}}


class Run(Stage):
    """A scenario that is being played. Played once."""

    _writers: Writers
    _lifted: tuple[str, ...] = ("pace=0", "limit.latency=off", "limit.commit=off",
                                "limit.disk_free=off", "limit.stall=5s")

    def play(self) -> Outcome:
        began = time.monotonic()
        for act in (self._prepare, self._perform, self._clear_up):
            try:
                act()
            except Exception:  # The campaign's own fault, or a server that is gone.
                self.wrong(f"the campaign itself failed: {traceback.format_exc(limit=-4)}")
                if act == self._prepare:
                    break
        self.outcome.seconds = time.monotonic() - began
        return self.outcome

    def _prepare(self) -> None:
        scenario = self.scenario
        with Connection(self.server.url()) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")
            admin.execute(f"CREATE DATABASE {self.database}")
        create = create_sql(scenario.key, scenario.rows, scenario.fillfactor, scenario.partitions,
                            scenario.index_x)
        if any(fault.name == "full disk" for fault in scenario.faults):
            self.disk = SmallDisk(self.server)
            if self.disk.possible:
                create = f"SET default_tablespace = {self.disk.name}; {create}"
        with self.admin() as admin:
            admin.execute(create)
        self._prepare_ground()
        with open(self._file, "w") as file:
            file.write(self.change.sql.replace("{options}", scenario.options))
        self._writers = Writers(
            lambda: self.server.url(self.database), scenario.key, scenario.rows, scenario.seed,
            threads=scenario.writers, mix=scenario.mix, per_second=scenario.changes_per_second,
            reuse_keys="block" not in scenario.options,
            rivals=any(fault.name == "deadlocks" for fault in scenario.faults))
        self._writers.start()
        self.outcome.injected.append("writers")

    def _prepare_ground(self) -> None:
        if any(fault.name == "failover" for fault in self.scenario.faults):
            self._standby = self.server.make_standby(self.lane.new_directory())
            with self.admin() as admin:
                admin.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
                admin.execute("SELECT pg_reload_conf()")
        if self._has_proxy:
            self.proxy = Proxy(self._programs.proxy, self.server.port)

    def _perform(self) -> None:
        self._forward()
        if self.scenario.reverts and not self.outcome.liveness:
            self._back()
        self._stop_writers()
        self._check()

    def _forward(self) -> None:
        self._mark("run begins")
        if not self.scenario.forward[0].starts:
            self.restart()
            for _ in range(self.scenario.processes - 1):
                self.wait_until(lambda: self._find_run() > 0, 5)
                self.restart()
        self._inject(self.scenario.forward)
        if self.scenario.aborts:
            self._abort()
        else:
            self._finish("completed", {0})
        self._mark("run is done")
        self._read_sync_window()
        if self.scenario.aborts:
            return
        self._expect_proved()
        if self.scenario.poisons and not self.outcome.failed:
            self._stop_writers()
            self._poison()

    def _abort(self) -> None:
        if self._find_run() == 0 or self.state() in ("completed", "verifying"):
            self._finish("completed", {0})
            return
        # `pawl run` that comes after the abort begins the file anew.
        self.wait_until(lambda: all(child.ended or self.had_joined(child)
                                    for child in self.children), 10)
        self.command("abort")
        for child in self.children:
            if child.wait(self._patience) is None:
                self.liveness("a process works on although its run was aborted")
                child.end()
        if self.state() not in ("aborted", "completed"):
            self.wrong(f"aborted, the run is {self.state()}")

    def _back(self) -> None:
        self.forward = False
        self._mark("revert begins")
        self.command("set", f"pace={int(self.scenario.rows / self.scenario.seconds)}")
        if self.scenario.stop_first:
            code = Pawl(self._binary, ["revert", str(self._run)], self._url(),
                        os.path.join(self.directory, "output")).wait(self._patience)
            if code not in (0, 5):
                self.wrong(f"a revert that stops at conflicts ended with {code}")
            conflicts = self._conflicts_count()
            if (code == 5) == (self.state() == "reverted" and not conflicts):
                self.wrong(f"a revert ended with {code}, the run is {self.state()}, "
                           f"{conflicts} conflicts")
        if self.state() != "reverted":
            self.restart()
            self._inject(self.scenario.back)
            self._finish("reverted", {0, 5})
        self._mark("revert is done")

    def _inject(self, faults: tuple[Fault, ...]) -> None:
        for fault in faults:
            time.sleep(self.rng.uniform(0, 0.15))
            try:
                fault.do(self)
                self.outcome.injected.append(fault.name)
            except NotPossible:
                self.note(f"{fault.name} is not possible here")
            except SqlError as error:
                if error.sqlstate != "42P01" or self.change.kind != "ddl":
                    raise
                self.note(f"{fault.name} is not possible any more: {error}")
        if self._has_proxy:
            self.proxy.tell("pass")
        while self._held:
            self._held.pop().close()

    def _finish(self, target: str, codes: set[int]) -> None:
        """The faults are over: now the run must come to its end."""
        deadline = time.monotonic() + self._patience
        self._lift_limits()
        if self.state() == "paused":
            self.restart()  # A failover may have lost the command that resumed it.
        for attempt in range(RESTARTS_MAX + 1):
            for child in self.children:
                code = child.wait(max(1.0, deadline - time.monotonic()))
                if code is None:
                    self._accuse_hanging(child)
                    return
                self._check_code(child, code)
            if self.state() == target:
                break
            self._before_restart()
            if attempt == RESTARTS_MAX:
                self.liveness(f"the run is {self.state()} ({self._reason()}) and does not become "
                              f"{target}, though it was carried on {RESTARTS_MAX} times")
                return
            self.outcome.restarts += 1
            self.restart()
            self._lift_limits()
        code = self.children[-1].wait(1)
        if code not in codes and self.children[-1].words[0] != "resume":
            self.note(f"the last process ended with {code}")
        if target == "reverted":
            self._expect_code_of_conflicts()

    def _lift_limits(self) -> None:
        """What the host's other work does to the server's answers, and to the room on its disk, is
        not the engine's to mend."""
        if self.wait_until(lambda: self._find_run() > 0 or not self.at_work(), 10):
            self.command("set", *self._lifted)

    def _before_restart(self) -> None:
        """What the operator sees to before he carries on."""

    def _accuse_hanging(self, child: Pawl) -> None:
        self.liveness(f"pawl {' '.join(child.words)} still works {self._patience:.0f} s after the "
                      f"faults have ended; the run is {self.state()}; its last words: "
                      f"{child.last_words()}")
        with self.admin() as admin, open(os.path.join(self.directory, "hangs.txt"), "w") as file:
            for row in admin.query("SELECT pid, application_name, state, wait_event, query FROM "
                                   "pg_stat_activity WHERE datname = current_database()"):
                file.write(f"{row}\n")
        for each in self.children:
            each.end()

    # ---- Judgement ----

    def _expect_proved(self) -> None:
        if self.outcome.liveness:
            return
        code, answer = ask(self._binary, ["verify", str(self._run), "--accept-changed"],
                           self.server.url(self.database), self._patience)
        if code != 0:
            self.wrong(f"verify says {code}: {json.dumps(answer)[:600]}")
        code, answer = ask(self._binary, ["status", str(self._run)],
                           self.server.url(self.database), self._patience)
        rows = self._ledger_rows()
        if code != 0 or answer[0]["state"] != "completed" or answer[0]["rows_done"] != rows:
            self.wrong(f"status says {json.dumps(answer)[:600]}; the ledger has {rows} rows")

    def _poison(self) -> None:
        """F16: a row is damaged behind everybody's back; the proof must fail and name it."""
        url = self.server.url(self.database)
        code, answer = ask(self._binary, ["verify", str(self._run)], url, self._patience)
        if code != 0:
            self.note(f"a strict verify before poisoning says {code}: {json.dumps(answer)[:300]}")
            return
        with self.admin() as admin:
            name, damage, mend, key = poisons(self.change, self.scenario.key, admin, self.rng)
            admin.execute(damage)
            code, answer = ask(self._binary, ["verify", str(self._run)], url, self._patience)
            keys = [d["key"] for d in answer.get("differences", [])]
            if code != 3 or not any(key in each for each in keys):
                self.wrong(f"poisoned ({name}, key {key}), the proof says {code} and names {keys}")
            admin.execute(mend)
        code, answer = ask(self._binary, ["verify", str(self._run)], url, self._patience)
        if code != 0:
            self.wrong(f"mended after {name}, the proof says {code}: {json.dumps(answer)[:600]}")
        self.outcome.injected.append("poison")

    def _expect_code_of_conflicts(self) -> None:
        code = self.children[-1].wait(1)
        listed = self._conflicts_count()
        if self.children[-1].words[0] == "revert" and not self.children[-1].killed and \
                code in (0, 5) and (code == 5) != (listed > 0):
            self.wrong(f"the revert ended with {code}, and lists {listed} conflicts")

    def _check(self) -> None:
        if self._run == 0:
            return
        with self.admin() as admin:
            if self._sabotage:
                admin.execute(SABOTAGES[self._sabotage])
            completed = not self.scenario.aborts and not self.outcome.liveness
            for fault in ledger_faults(admin, self._run, completed):
                self.wrong(f"ledger: {fault}")
            facts = read_facts(admin, self._sync_window)
        verdict = Judge(self.change, self.scenario.key, facts, completed).judge()
        self._check_application(facts)
        self.outcome.lost += verdict.lost
        self.outcome.doubled += verdict.doubled
        self.outcome.wrong += verdict.wrong
        rows = self._ledger_rows()
        if not verdict.faults and not verdict.changes_min <= rows <= verdict.changes_max:
            self.wrong(f"the ledger counts {rows} rows; there were {verdict.changes_min} to "
                       f"{verdict.changes_max}")
        self.outcome.rows_written += rows
        if "revert is done" in facts.marks and not verdict.faults:
            self._check_conflicts(verdict, facts)

    def _check_application(self, facts: Facts) -> None:
        accounts = self._writers.accounts
        acknowledged = set().union(*(account.acknowledged for account in accounts))
        self.outcome.rows_written += len(facts.committed)
        missing = acknowledged - facts.committed
        if missing:
            self.outcome.lost.append(f"{len(missing)} changes of the application were acknowledged "
                                     f"and are gone: {sorted(missing)[:5]}")
        unasked = len(facts.committed - acknowledged)
        if unasked > sum(account.in_doubt for account in accounts):
            self.wrong(f"{unasked} changes were committed that nobody was told of")
        allowed = {state for fault in self.scenario.faults
                   for state in REFUSALS.get(fault.name, set())}
        for account in accounts:
            for state, count in account.refused.items():
                if state not in allowed:
                    self.wrong(f"the application was refused {count} times with SQLSTATE {state}")

    def _check_conflicts(self, verdict: Verdict, facts: Facts) -> None:
        key = self.scenario.key
        listed = self._conflicts()
        may = {key.of(n) for n in verdict.may_conflict}
        must = {key.of(n) for n in verdict.must_conflict}
        if not must <= listed or not listed <= may:
            self.wrong(f"conflicts not reported: {sorted(must - listed)[:5]}; reported and none: "
                       f"{sorted(listed - may)[:5]}")
        if self.change.kind == "column" and \
                facts.column_dropped != (self._conflicts_count() == 0):
            self.wrong(f"the column is {'gone' if facts.column_dropped else 'kept'}, and "
                       f"{self._conflicts_count()} conflicts are listed")

    # ---- Small things ----

    def _ledger_rows(self) -> int:
        with self.admin() as admin:
            return admin.number("SELECT coalesce(sum(rows), 0) FROM pawl.ledger WHERE round > 0")

    def _conflicts(self) -> set[tuple[str, ...]]:
        """The keys of rows that the revert left alone."""
        with self.admin() as admin:
            return {tuple(json.loads(key or "[]")) for (key,) in
                    admin.query(f"SELECT key FROM pawl.conflict WHERE NOT forced AND NOT ({_KEPT})")}

    def _conflicts_count(self) -> int:
        """Those, and a column that is kept because the application has written to it."""
        with self.admin() as admin:
            return admin.number("SELECT count(*) FROM pawl.conflict WHERE NOT forced")

    def _mark(self, kind: str) -> None:
        self.outcome.reached.add(kind)
        with self.admin() as admin:
            admin.execute("INSERT INTO app.history (writer, op, kind) VALUES (0, 0, $1)", kind)

    def _read_sync_window(self) -> None:
        """When the sync trigger was in place; an abort takes it away as well."""
        if self._find_run() == 0:
            return
        with self.admin() as admin:
            row = admin.query(
                "SELECT min(finished_at) FILTER (WHERE kind = 'sync on' AND state = 'done'), "
                "max(finished_at) FILTER (WHERE kind = 'sync on' AND state = 'done'), "
                "min(finished_at) FILTER (WHERE kind = 'sync off' AND state = 'done'), "
                "max(finished_at) FILTER (WHERE kind = 'sync off' AND state = 'done') "
                f"FROM pawl.step WHERE run_id = {self._run}")[0]
            self._sync_window = (row[0], row[1], row[2], row[3])

    def _stop_writers(self) -> None:
        if not self._writers.stop():
            self.liveness("a session of the application still waits, though the faults have ended")

    def _clear_up(self) -> None:
        self._writers.stop()
        for child in self._all_children:
            child.end()
        if self._has_proxy:
            self.proxy.close()
        for session in self._held:
            session.close()
        if self._standby:
            self._standby.remove()
            with Connection(self.server.url()) as admin:
                admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
                admin.execute("SELECT pg_reload_conf()")
        if self.outcome.failed:
            self._keep()
        with Connection(self.server.url()) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")
        if hasattr(self, "disk"):
            self.disk.remove(self.server)
        if not self.outcome.failed:
            shutil.rmtree(self.directory, ignore_errors=True)

    def _keep(self) -> None:
        """All that is needed to look at a failure without the server."""
        subprocess.run([f"{BIN}/pg_dump", "-f", os.path.join(self.directory, "database.sql"),
                        self.server.url(self.database)], capture_output=True, check=False)
        with open(os.path.join(self.directory, "findings.txt"), "w") as file:
            file.write(self.scenario.describe() + "\n\n")
            for name in ("lost", "doubled", "wrong", "liveness", "notes"):
                for text in getattr(self.outcome, name):
                    file.write(f"{name}: {text}\n")


def play(scenario: Scenario, lane: Lane, programs: Programs, directory: str,
         sabotage: str | None = None) -> Outcome:
    os.makedirs(directory, exist_ok=True)
    return Run(scenario, lane, programs, directory, sabotage).play()
