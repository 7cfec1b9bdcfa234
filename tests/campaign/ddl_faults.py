"""Faults that only a change of the schema meets, besides those of faults.py that it shares."""
from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from faults import NotPossible, fault
from pg import SqlError

if TYPE_CHECKING:
    from ddl_run import DdlRun


# ---- F2: any of its sessions is cancelled, also one that builds an index or reads the rows ----

@fault("cancel ddl", "F2", kinds=("ddl",), survivable=False)
def _cancel(stage: DdlRun) -> None:
    with stage.admin() as admin:
        for _ in range(stage.rng.randint(3, 12)):
            admin.execute(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = "
                "current_database() AND application_name LIKE 'pawl/%' AND state <> 'idle'")
            time.sleep(stage.rng.uniform(0.01, 0.1))


# ---- F1, F2: in the middle of a build, which an old snapshot makes wait ----

_BUILDS = ("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
           "application_name LIKE 'pawl/%' AND state = 'active' AND query ~ 'CONCURRENTLY'")


@fault("in a build", "F1", kinds=("ddl",), weight=3, starts=True, survivable=False)
def _in_a_build(stage: DdlRun) -> None:
    """What is left is an index that is not valid, or a backend that builds on by itself."""
    stage.stop_children()
    with stage.admin() as reader, stage.admin() as admin:
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        reader.query("SELECT count(*) FROM dim")
        stage.restart()
        if not stage.wait_until(lambda: admin.number(_BUILDS) > 0 or not stage.at_work(), 5) \
                or not stage.at_work():
            raise NotPossible
        time.sleep(stage.rng.uniform(0, 0.1))
        how = stage.rng.choice(("kill", "terminate", "cancel", "crash", "bad row"))
        stage.note(f"in a build: {how}")
        if how == "kill":
            for child in stage.children:
                child.signal(signal.SIGKILL)
            if stage.rng.random() < 0.5:
                stage.restart()  # While the other's backend still waits.
                time.sleep(stage.rng.uniform(0, 0.5))
        elif how == "crash":
            stage.server.kill9()
            stage.server.start()
        elif how == "bad row":
            if stage.change.violation:
                stage.violate(stage.rng.choice((0, 0.2)))
        else:
            admin.execute(f"SELECT pg_{how}_backend(pid) FROM pg_stat_activity WHERE datname = "
                          "current_database() AND application_name LIKE 'pawl/%' AND query ~ "
                          "'CONCURRENTLY'")
    stage.restart_if_idle()


# ---- F7: there is no room for what it builds. The tables themselves lie elsewhere ----

@fault("no room", "F7", kinds=("ddl",), weight=0.7, alone=True, forward_only=True, starts=True,
       survivable=False)
def _no_room(stage: DdlRun) -> None:
    stage.put_new_relations_on_the_disk()
    if not stage.disk.fill(stage.rng.choice((0, 8_192, 65_536, 131_072))):
        stage.restart()
        raise NotPossible
    stage.restart()
    stage.wait_while_working(6)
    stage.disk.empty()
    stage.restart_if_idle()


# ---- F11: somebody else changes the schema ----

@fault("stranger", "F11", kinds=("ddl",))
def _stranger(stage: DdlRun) -> None:
    """Also in the middle; and what he has made must be there in the end, whichever way it goes."""
    stage.wait_for_batches(stage.rng.choice((0, 1, 2)))
    name = f"later_{stage.rng.randint(1, 10**9)}"
    sql = stage.rng.choice((
        f"ALTER TABLE t ADD COLUMN {name} integer", f"CREATE INDEX {name} ON t (grp, dim_id)",
        f"ALTER TABLE t ADD CONSTRAINT {name} CHECK (grp >= 0)", f"CREATE TABLE {name} (id integer)",
        f"COMMENT ON TABLE dim IS '{name}'"))
    with stage.admin() as admin:
        admin.execute("SET lock_timeout = '5s'")
        try:
            admin.execute(sql)
        except SqlError as error:
            if error.sqlstate in ("55P03", "40P01", "42809", "42P01"):  # "t" is a view or gone.
                raise NotPossible from error
            raise
    stage.strangers.append(sql)


# ---- F14: the lock is not to be had ----

@fault("lock holder", "F14", kinds=("ddl",), weight=1.5)
def _lock_holder(stage: DdlRun) -> None:
    """Transactions that have read or written the table and then do nothing for a while."""
    for _ in range(stage.rng.choice((1, 2))):
        with stage.admin() as holder:
            holder.execute("BEGIN")
            holder.execute(stage.rng.choice((
                "SELECT FROM t LIMIT 1", "LOCK TABLE ONLY t IN ROW EXCLUSIVE MODE",
                "LOCK TABLE ONLY t IN SHARE UPDATE EXCLUSIVE MODE",  # As a vacuum does.
                "SELECT FROM t ORDER BY n LIMIT 3 FOR KEY SHARE", "SELECT FROM dim FOR SHARE")))
            time.sleep(stage.rng.uniform(0.3, 3.0))
            holder.execute("ROLLBACK")


# ---- F18: a row that the new shape cannot bear ----

@fault("bad row", "F18", kinds=("ddl",), weight=2, survivable=False)
def _bad_row(stage: DdlRun) -> None:
    """Written in the middle, and committed at some later time, if it is not refused."""
    stage.wait_for_batches(stage.rng.choice((0, 0, 1, 2)))
    stage.violate(stage.rng.choice((0, 0.2, 1.0)))


@fault("bad row before", "F18", kinds=("ddl",), starts=True, weight=1.5, forward_only=True,
       survivable=False)
def _bad_row_before(stage: DdlRun) -> None:
    stage.stop_children()
    stage.violate(0)
    stage.restart()


@fault("row beyond", "F18", kinds=("ddl",), weight=2, starts=True, survivable=False)
def _row_beyond(stage: DdlRun) -> None:
    """Written before the way back, to which only the new shape can bear it; it is named, and stays
    until the operator takes it away."""
    stage.stop_children()
    stage.violate(0, beyond=True)
    stage.restart()
