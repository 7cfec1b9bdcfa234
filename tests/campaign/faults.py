"""The faults, F1 to F15: each is a function that does it to a run that is at work, and ends it.
Those of changes of the schema only, and F18, are in ddl_faults.py.

A name in quotes is what --fault takes.

`stage` is the run (stage.py). Where a fault leaves nobody at work, the run is started again by the
operator, who is stage.restart().
"""
from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable

import server as servers
from changes import Change
from pg import Connection, SqlError

if TYPE_CHECKING:
    from stage import Stage


@dataclass(frozen=True)
class Fault:
    name: str
    number: str  # F1 to F18.
    do: Callable[[Stage], None]
    proxy: bool = False  # The run is reached through the proxy.
    server: bool = False  # The server is another one, or elsewhere, afterwards: once per run.
    sanitized: bool | None = None  # Only with the build with fault points, or only without.
    forward_only: bool = False
    kinds: tuple[str, ...] = ()  # Only with changes of these kinds; empty: with all of rows.
    ddl: bool = False  # With changes of the schema as well, where `kinds` is empty.
    weight: float = 1.0
    alone: bool = False
    starts: bool = False  # As the first fault, it starts the run itself.
    survivable: bool = True  # By the process that meets it: it may not give up.

    def fits(self, change: Change, forward: bool, sanitized: bool) -> bool:
        return ((forward or not self.forward_only)
                and (self.sanitized is None or self.sanitized == sanitized)
                and (change.kind in self.kinds if self.kinds
                     else self.ddl or change.kind != "ddl")
                and (self.number != "F18" or self._is_bad(change, forward)))

    def _is_bad(self, change: Change, forward: bool) -> bool:
        """Whether there is such a row as it takes."""
        if self.name == "row beyond":
            return not forward and change.beyond is not None
        return change.violation is not None

    def excludes(self, other: Fault) -> bool:
        return self.alone or other.alone or (self.server and other.server)


class NotPossible(Exception):
    """Not on this machine, or not as this user."""


FAULTS: dict[str, Fault] = {}


def fault(name: str, number: str, **more: object) -> Callable[[Callable[[Stage], None]], None]:
    def register(function: Callable[[Stage], None]) -> None:
        FAULTS[name] = Fault(name, number, function, **more)  # type: ignore[arg-type]
    return register


# ---- F1: the tool is killed; and paused, which must be as harmless ----

@fault("kill", "F1", ddl=True, weight=1.5, survivable=False)
def _kill(stage: Stage) -> None:
    for _ in range(stage.rng.choice((1, 1, 2, 3))):
        stage.wait_for_batches(stage.rng.choice((0, 1, 3, 5)))
        time.sleep(stage.rng.uniform(0, 0.15))
        for child in stage.children:
            child.signal(signal.SIGKILL)
        stage.restart()


def fault_points() -> list[str]:
    """The names in db/fault.h."""
    path = os.path.join(os.path.dirname(__file__), "..", "..", "db", "fault.h")
    with open(path) as file:
        text = file.read()
    return re.findall(r'"(\w+)"', text[text.index("kFaultPoints"):text.index("};")])


_ONLY_FORWARD = ("create_run", "undo_table", "before_spans", "after_spans", "step_done",
                 "before_batch", "after_commit", "chunk", "verdict")


def _passed(stage: Stage, point: str) -> bool:
    """Whether this run passes the point at all, in this direction."""
    absent = ["split"]  # The tables are too small for it.
    if stage.contracts:
        return any(word in point for word in ("in_ddl", "contract", "move"))
    absent += ["contract"]
    absent += ["revert"] if stage.forward else _ONLY_FORWARD
    if stage.change.kind == "ddl":
        absent += ["undo_table", *stage.change.absent_points()]
    else:
        absent += ["question", "cut_over"]  # No type or name is changed.
    if stage.change.kind not in ("column", "ddl"):
        absent += ["_ddl"]
    if not stage.change.sync:
        absent += ["_sync_"]
    if stage.change.undo != "image":
        absent += ["undo_table"]
    return not any(word in point for word in absent)


def _at_point(stage: Stage, action: str) -> None:
    point = stage.rng.choice([point for point in fault_points() if _passed(stage, point)])
    often = any(word in point for word in ("batch", "commit", "chunk", "claim"))
    nth = stage.rng.choice((1, 2, 3, 10, 25)) if often else stage.rng.choice((1, 1, 1, 2))
    stage.stop_children()  # If it is the first fault, nobody is at work yet.
    stage.note(f"{point}:{nth}:{action}")
    stage.restart(fault=f"{point}:{nth}:{action}")
    stage.wait_while_working(4)


@fault("kill at a point", "F1", ddl=True, sanitized=True, weight=8, starts=True, survivable=False)
def _kill_at_point(stage: Stage) -> None:
    _at_point(stage, "kill")
    stage.restart_if_idle()


@fault("break at a point", "F3", ddl=True, sanitized=True, weight=6, starts=True)
def _throw_at_point(stage: Stage) -> None:
    _at_point(stage, "throw")
    stage.restart_if_idle()


@fault("pause", "F1", ddl=True, survivable=False)
def _pause(stage: Stage) -> None:
    stage.wait_for_batches(stage.rng.choice((0, 2)))
    if stage.rng.random() < 0.5:
        for child in stage.children:
            child.signal(signal.SIGINT)
        stage.wait_while_working(5)
    else:
        stage.command("pause")
        time.sleep(stage.rng.uniform(0, 0.3))
    stage.restart()


# ---- F2: backends and the server die ----

@fault("terminate", "F2", ddl=True)
def _terminate(stage: Stage) -> None:
    with stage.admin() as admin:
        for _ in range(stage.rng.randint(3, 12)):
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity WHERE "
                "datname = current_database() AND application_name LIKE 'pawl/%' "
                "ORDER BY random() LIMIT 1) AS s")
            time.sleep(stage.rng.uniform(0.01, 0.15))


@fault("cancel", "F2", weight=0.5)
def _cancel(stage: Stage) -> None:
    with stage.admin() as admin:
        for _ in range(stage.rng.randint(3, 12)):
            admin.execute(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = "
                "current_database() AND application_name = 'pawl/worker'")
            time.sleep(stage.rng.uniform(0.01, 0.1))


@fault("crash", "F2", ddl=True, weight=1.5)
def _crash(stage: Stage) -> None:
    for _ in range(stage.rng.choice((1, 1, 2))):
        stage.wait_for_batches(stage.rng.choice((0, 2, 4)))
        if stage.rng.random() < 0.6:
            stage.server.kill9()
        else:
            stage.server.stop("immediate")
        time.sleep(stage.rng.choice((0, 0, 0.3)))
        stage.server.start()


@fault("failover", "F2", ddl=True, proxy=True, server=True, forward_only=True, weight=0.5)
def _failover(stage: Stage) -> None:
    """Only the application's commits wait for the standby; the run's last batches may be lost."""
    stage.wait_for_batches(stage.rng.choice((0, 3)))
    stage.fail_over()


# ---- F3, F4: the network ----

@fault("reset", "F3", ddl=True, proxy=True)
def _reset(stage: Stage) -> None:
    for _ in range(stage.rng.randint(1, 5)):
        time.sleep(stage.rng.uniform(0, 0.2))
        stage.proxy.tell("reset")


@fault("refuse", "F3", ddl=True, proxy=True, weight=0.7)
def _refuse(stage: Stage) -> None:
    stage.proxy.tell("refuse")
    stage.proxy.tell("reset")
    time.sleep(stage.rng.uniform(0.1, 1.0))
    stage.proxy.tell("pass")


@fault("delay", "F3", ddl=True, proxy=True, weight=0.7)
def _delay(stage: Stage) -> None:
    stage.proxy.tell(f"delay {stage.rng.choice((5, 20, 60))}")
    time.sleep(stage.rng.uniform(0.2, 0.6))
    stage.proxy.tell("pass")


@fault("black hole", "F3", ddl=True, proxy=True)
def _black_hole(stage: Stage) -> None:
    stage.proxy.tell("black_hole " + stage.rng.choice(("to_server", "to_client")))
    time.sleep(stage.rng.uniform(0.2, 1.2))
    if stage.rng.random() < 0.6:
        stage.proxy.tell("reset")
    stage.proxy.tell("pass")


@fault("span held", "F3", proxy=True, weight=0.7)
def _span_held(stage: Stage) -> None:
    """Connections break for the run and not for the server, where a transaction stands for a while
    and holds the spans."""
    stage.wait_for_batches(1)
    with stage.admin() as dead:
        if not dead.value("SELECT to_regclass('pawl.span')"):
            return
        dead.execute("BEGIN; SELECT FROM pawl.span FOR UPDATE")
        stage.proxy.tell("reset")
        time.sleep(stage.rng.uniform(1.0, 4.0))


def _cut(stage: Stage, moment: str) -> None:
    cuts = stage.proxy.tell("cuts")
    for _ in range(stage.rng.randint(1, 5)):
        stage.proxy.tell(f"cut {moment} {stage.rng.randint(1, 3)}")
        if not stage.proxy.wait_for_cuts(cuts + 1, 1.5):
            break
        cuts += 1
    stage.proxy.tell("pass")


@fault("cut after COMMIT", "F4", ddl=True, proxy=True, weight=1.5)
def _cut_after(stage: Stage) -> None:
    _cut(stage, "after")


@fault("cut before COMMIT", "F4", ddl=True, proxy=True)
def _cut_before(stage: Stage) -> None:
    _cut(stage, "before")


# ---- F5: rivals for the same rows. F6, random writers, is always there ----

@fault("deadlocks", "F5", ddl=True)
def _deadlocks(stage: Stage) -> None:
    """Sessions that lock a few rows in descending order, hold them, and roll back or read on."""
    stop = threading.Event()

    def rival(isolation: str) -> None:
        while not stop.is_set():
            try:
                with stage.admin() as session:
                    while not stop.is_set():
                        session.execute(f"BEGIN ISOLATION LEVEL {isolation}")
                        try:
                            for part in (3, 2, 1):
                                session.execute(
                                    f"SELECT FROM t WHERE n % 11 = {part} ORDER BY n DESC LIMIT 40 "
                                    "FOR UPDATE")
                        except SqlError as error:
                            if error.broken:
                                raise
                        session.execute("ROLLBACK")
                        stop.wait(0.01)
            except SqlError:
                stop.wait(0.05)

    threads = [threading.Thread(target=rival, args=(level,))
               for level in ("READ COMMITTED", "REPEATABLE READ")]
    for thread in threads:
        thread.start()
    time.sleep(stage.rng.uniform(0.5, 1.2))
    stop.set()
    for thread in threads:
        thread.join()


# ---- F7: the disk under the table is full ----

@fault("full disk", "F7", weight=0.5, alone=True, forward_only=True, survivable=False)
def _full_disk(stage: Stage) -> None:
    stage.wait_for_batches(1)
    if not stage.disk.fill(stage.rng.choice((0, 65_536, 262_144))):
        raise NotPossible
    time.sleep(stage.rng.uniform(0.3, 1.0))
    stage.disk.empty()


# ---- F8: the clock of the tool jumps ----

@fault("clock", "F8", ddl=True, sanitized=False, weight=0.5)
def _clock(stage: Stage) -> None:
    stage.stop_children()
    jump = stage.rng.choice(("+1h", "-1h", "+10d"))
    os.environ["DONT_FAKE_MONOTONIC"] = "1"
    stage.restart(before=("faketime", "-f", jump))
    stage.restart()
    stage.wait_while_working(1)


# ---- F9: a process stands still past its lease ----

@fault("freeze", "F9", ddl=True)
def _freeze(stage: Stage) -> None:
    stage.wait_for_batches(stage.rng.choice((1, 3)))
    frozen = [child for child in stage.children if not child.ended]
    for child in frozen:
        child.signal(signal.SIGSTOP)
    try:
        before = stage.batches()
        stage.restart()
        with stage.admin() as admin:  # The lease of the frozen one has run out, at once.
            if admin.value("SELECT to_regclass('pawl.span')"):
                admin.execute("UPDATE pawl.span SET lease_until = clock_timestamp() - "
                              "interval '1 s' WHERE NOT done AND lease_until IS NOT NULL")
        stage.wait_until(lambda: stage.batches() > before + 2, 2)
    finally:
        for child in frozen:
            child.signal(signal.SIGCONT)


# ---- F10: a metric fails, falls silent, or lies ----

_SOUND = "SELECT '1'"
_BROKEN = {
    "fails": "SELECT (1 / length(''))::text",
    "says many": "SELECT 'many'",
    "says NULL": "SELECT NULL::text",
    "says NaN": "SELECT 'NaN'",
    "says nothing": "SELECT '1' WHERE false",
    "says two things": "SELECT '1' UNION ALL SELECT '2'",
    "is silent": "SELECT '1' FROM pg_sleep(3600)",
}
_LIES = {
    "always says 0": "SELECT '0'",
    "is over its limit now and then": "SELECT (random() * 20)::text",
}
# A second until it is asked again, one for the answer, one for batches that are under way.
_HELD_WITHIN_SECONDS = 3.0


def _answer(admin: Connection, sql: str) -> None:
    admin.execute(f"CREATE OR REPLACE FUNCTION app.metric() RETURNS SETOF text LANGUAGE sql AS "
                  f"$metric${sql}$metric$")


def _ask_metric(stage: Stage, admin: Connection) -> None:
    """The run is told to ask a query of the user's own, and slowed so that there is time for it."""
    if not stage.wait_until(lambda: stage.batches() > 0, 3):
        raise NotPossible
    _answer(admin, _SOUND)
    began = admin.value("SELECT clock_timestamp()")
    code = stage.command("set", f"pace={stage.scenario.rows // 6}", "limit.query=10",
                         "query=SELECT * FROM app.metric()")
    if code != 0 and stage.state() in ("running", "reverting"):
        stage.wrong(f"pawl set refuses a query that works ({code})")
    asked = ("SELECT count(*) FROM pawl.throttle WHERE decided_at > $1 AND "
             "signals LIKE '%\"name\":\"query\"%'")
    if not stage.wait_until(lambda: admin.number(asked, began) > 0, 10):
        raise NotPossible  # It was done before.


@contextlib.contextmanager
def _metric_that(stage: Stage, kinds: dict[str, str]):
    """While the block runs, the metric is one of these; afterwards sound, whatever happens."""
    with stage.admin() as admin:
        _ask_metric(stage, admin)
        how, sql = stage.rng.choice(list(kinds.items()))
        stage.note(f"the metric {how}")
        _answer(admin, sql)
        try:
            yield admin, how
        finally:
            _answer(admin, _SOUND)


@fault("broken metric", "F10")
def _broken_metric(stage: Stage) -> None:
    """What is unknown is never zero: the run must hold until the metric is mended."""
    with _metric_that(stage, _BROKEN) as (admin, how):
        time.sleep(_HELD_WITHIN_SECONDS)
        before = stage.batches()
        goes_on = admin.number("SELECT count(*) FROM pawl.throttle WHERE NOT held AND "
                               "decided_at > clock_timestamp() - interval '2 s'")
        time.sleep(stage.rng.uniform(0.5, 1.5))
        if goes_on or stage.batches() > before:
            stage.wrong(f"the run goes on, though the metric {how}")


@fault("lying metric", "F10", weight=0.5)
def _lying_metric(stage: Stage) -> None:
    """Nobody can know; but no row may pay for it, and no run stay behind."""
    with _metric_that(stage, _LIES):
        time.sleep(stage.rng.uniform(1.0, 3.0))


# ---- F11: the schema changes underneath ----

@fault("rename", "F11", weight=0.7, survivable=False)
def _rename(stage: Stage) -> None:
    with stage.admin() as admin:
        admin.execute("SET lock_timeout = '5s'")
        try:
            admin.execute("ALTER TABLE t RENAME TO t_elsewhere")
        except SqlError as error:
            if error.sqlstate == "55P03":
                raise NotPossible from error  # Another fault's old reader is in its way.
            raise
        time.sleep(stage.rng.uniform(0.1, 0.8))
        while True:
            try:
                admin.execute("ALTER TABLE t_elsewhere RENAME TO t")
                break
            except SqlError as error:
                if error.sqlstate != "55P03":
                    raise
    stage.restart_if_idle()


def _add_column(stage: Stage) -> str:
    name = f"later_{stage.rng.randint(1, 10**9)}"
    with stage.admin() as admin:
        admin.execute("SET lock_timeout = '5s'")
        try:
            admin.execute(f"ALTER TABLE t ADD COLUMN {name} integer")
        except SqlError as error:
            if error.sqlstate == "55P03":
                raise NotPossible from error  # As with a rename.
            raise
    return name


@fault("another column", "F11", weight=0.7, kinds=("update", "column", "insert"))
def _another_column(stage: Stage) -> None:
    _add_column(stage)


@fault("column comes and goes", "F11", weight=0.7, kinds=("delete",), survivable=False)
def _column_comes_and_goes(stage: Stage) -> None:
    """What a DELETE takes with it could not be brought back whole: it must stop until the column
    is gone."""
    if not stage.wait_until(lambda: stage.batches() > 0, 3):
        raise NotPossible  # Planned with the column, it would miss it later.
    name = _add_column(stage)
    time.sleep(stage.rng.uniform(0.1, 0.8))
    with stage.admin() as admin:
        admin.execute(f"ALTER TABLE t DROP COLUMN {name}")
    stage.restart_if_idle()


# ---- F12, F13, F14: waiting ----

@fault("commits hang", "F12", ddl=True)
def _commits_hang(stage: Stage) -> None:
    """Every commit is written and not yet visible, as with a slow synchronous standby."""
    with stage.admin() as admin:
        before = admin.value("SHOW synchronous_standby_names")
        admin.execute("ALTER SYSTEM SET synchronous_standby_names = 'nosuch'")
        admin.execute("SELECT pg_reload_conf()")
        time.sleep(stage.rng.uniform(0.5, 1.5))
        admin.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{before}'")
        admin.execute("SELECT pg_reload_conf()")


@fault("old reader", "F13", ddl=True)
def _old_reader(stage: Stage) -> None:
    """Holds a snapshot and a lock on the table; where there is DDL to come, for a moment only."""
    session = stage.admin()
    session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    session.query("SELECT count(*) FROM t")
    if stage.change.kind in ("column", "ddl"):
        time.sleep(stage.rng.uniform(0.3, 1.2))
        session.close()
    else:
        stage.hold(session)


_STALL_MAX_SECONDS = 3.0  # DDL asks for its lock for 50 ms at a time; the rest is this machine.


@fault("lock queue", "F14", kinds=("column", "ddl"), starts=True)
def _lock_queue(stage: Stage) -> None:
    """While a long SELECT keeps DDL waiting, readers behind it must not be kept for long."""
    stage.stop_children()
    longest = 0.0
    with stage.admin() as holder, stage.admin() as reader:
        holder.execute("BEGIN")
        holder.query("SELECT count(*) FROM t")
        stage.restart()
        until = time.monotonic() + stage.rng.uniform(0.5, 1.5)
        while time.monotonic() < until:
            began = time.monotonic()
            reader.query("SELECT FROM t LIMIT 1")
            longest = max(longest, time.monotonic() - began)
            time.sleep(0.005)
    if longest > _STALL_MAX_SECONDS:
        stage.liveness(f"a reader waited {longest:.1f} s behind DDL that waited for a lock")


# ---- F15: another server answers ----

@fault("wrong server", "F15", proxy=True, server=True, forward_only=True, weight=0.7,
        survivable=False)
def _wrong_server(stage: Stage) -> None:
    """A restored copy answers at the address; nothing may be written to it."""
    stage.restart_if_idle()
    stage.wait_for_batches(2)
    if stage.batches() == 0:
        raise NotPossible
    wrong = stage.lane.wrong_server()
    dump = os.path.join(stage.directory, "copy.sql")
    servers.own(stage.directory)
    servers.run_as_account(f"{servers.BIN}/pg_dump", "-f", dump, stage.server.url(stage.database))
    with Connection(wrong.url()) as admin:
        admin.execute(f"CREATE DATABASE {stage.database}")
    url = wrong.url(stage.database)
    subprocess.run([f"{servers.BIN}/psql", "-qX", "-f", dump, url], capture_output=True,
                   check=False)
    look = ("SELECT (SELECT md5(string_agg(t::text, ',' ORDER BY n)) FROM t) || "
            "(SELECT count(*) || ' ' || coalesce(max(batch_id), 0) FROM pawl.ledger)")
    with Connection(url) as copy:
        before = copy.value(look)
    stage.proxy.tell(f"lead {wrong.port}")
    stage.proxy.tell("reset")
    time.sleep(stage.rng.uniform(0.5, 1.5))
    for child in stage.children:
        if child.words[0] == "resume":
            continue  # It ends with 0 at once where a living process carries on.
        if child.ended and child.wait(1) == 0 and stage.state() != "completed":
            stage.wrong("a process that was led to another server says that all is done")
    stage.proxy.tell(f"lead {stage.server.port}")
    stage.proxy.tell("reset")
    with Connection(url) as copy:
        if copy.value(look) != before:
            stage.wrong("something was written to another server than the run's own")
    with Connection(wrong.url()) as admin:
        admin.execute(f"DROP DATABASE {stage.database} WITH (FORCE)")
    stage.restart_if_idle()
