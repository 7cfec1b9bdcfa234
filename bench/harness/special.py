"""Suites that are not a comparison of whole runs: revert, resume, memory, verify.

Each measures one round: a map from subject to metrics, like a round of series.py.
"""

import dataclasses
import json
import os
import time
from typing import Callable, Optional

from harness import measure, tables
from harness.series import say
from harness.server import BenchError
from harness.suites import Figure
from harness.variants import Pawl, last_json

POLL_SECONDS = 0.02
BATCHES_BEFORE_KILL = 20
WAIT_SECONDS_MAX = 120
PLANNED_ROWS = 100_000_000


def _checked(argv):
    cost = measure.run_client(argv)
    if cost.exit_status != 0:
        raise BenchError(f"{argv[1]}: exit status {cost.exit_status}: {cost.stderr[-2000:].strip()}")
    return cost


def _warm_copy(server, template="orders_bigint"):
    database = tables.fresh_copy(server, template)
    tables.prewarm(server, database)
    server.sql(database, "CHECKPOINT")
    return database


def _check_reverted(server, database):
    exists = server.scalar(
        database, "SELECT count(*) FROM pg_attribute WHERE attrelid = 'orders'::regclass "
                  "AND attname = 'total_cents' AND NOT attisdropped")
    if exists == "1" and server.scalar(database, "SELECT count(total_cents) FROM orders") != "0":
        raise BenchError("After the revert there are still values in total_cents.")


def _settle(server, database):
    """What autovacuum has done by the time somebody takes a run back; it is off for the table here, or it
    would hit one variant and not the next. The next run pays its own full-page images too."""
    server.sql(database, "VACUUM orders")
    server.sql(database, "CHECKPOINT")


def revert_round(server, tools, rows):
    del rows
    measured = {}
    for undo in ("implicit", "image"):
        # A column that the migration makes itself needs no images; one that is there does.
        made = undo == "implicit"
        variant = Pawl("" if made else f"undo={undo}", column_exists=not made)
        database = _warm_copy(server)
        if not made:
            server.sql(database, tables.ADD_COLUMN)
        server.sql(database, "CHECKPOINT")
        forward = last_json(_checked(variant.argv(tools, server, database)).stdout)
        _settle(server, database)
        backward = last_json(_checked(
            [tools.pawl, "revert", str(forward["run"]), "--database", server.url(database),
             "--json"]).stdout)
        _check_reverted(server, database)
        _settle(server, database)
        again = last_json(_checked(variant.argv(tools, server, database)).stdout)
        rates = [done["rows_done"] / done["seconds"] for done in (forward, backward, again)]
        measured[f"revert of pawl undo={undo}"] = {
            "forward_rows_per_second": rates[0], "revert_rows_per_second": rates[1],
            "again_rows_per_second": rates[2], "to_forward": rates[1] / rates[0],
            "again_to_forward": rates[2] / rates[0]}
    return measured


class Ledger:
    """Counts committed batches, also before there is a control schema."""

    def __init__(self, server, database):
        self._session = server.session(database)

    def batches(self):
        if self._session.query("SELECT to_regclass('pawl.ledger') IS NOT NULL") != ["t"]:
            return 0
        return int(self._session.query("SELECT count(*) FROM pawl.ledger")[0])

    def others(self):
        """Sessions of other clients that the server has not ended yet."""
        return int(self._session.query(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' "
            "AND pid <> pg_backend_pid()")[0])

    def await_more_than(self, batches, client):
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while time.monotonic() < deadline:
            if self.batches() > batches:
                return time.monotonic()
            if not client.running and self.batches() <= batches:
                break
            time.sleep(POLL_SECONDS)
        raise BenchError(f"pawl committed no batch past {batches}.")

    def await_alone(self):
        """A dead client's last batch may still commit; it must not be taken for the first new one."""
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while self.others() > 0:
            if time.monotonic() > deadline:
                raise BenchError("Sessions of the killed pawl did not end.")
            time.sleep(POLL_SECONDS)

    def close(self):
        self._session.close()


def resume_round(server, tools, rows):
    del rows
    database = _warm_copy(server)
    argv = Pawl().argv(tools, server, database)
    ledger = Ledger(server, database)
    clients = []
    try:
        clients.append(measure.Client(argv))
        ledger.await_more_than(BATCHES_BEFORE_KILL, clients[0])
        if not clients[0].running:
            raise BenchError("pawl was done before it could be killed: use more rows.")
        clients[0].kill()
        ledger.await_alone()
        committed = ledger.batches()
        clients.append(measure.Client(argv))
        seconds = ledger.await_more_than(committed, clients[1]) - clients[1].started_at
        cost = clients[1].finish()
    finally:
        ledger.close()
        for client in clients:
            if client.running:
                client.kill()
    if cost.exit_status != 0 or server.scalar(database, tables.WRONG_ROWS) != "0":
        raise BenchError(f"The resumed run is not right: {cost.stderr[-2000:].strip()}")
    return {"pawl": {"resume_seconds": seconds, "batches_before_kill": committed}}


def _pretend_rows(server, database, rows):
    """Makes the statistics speak of a larger table; autovacuum is off and will not correct them."""
    server.sql(database,
               f"UPDATE pg_class SET relpages = (relpages * ({rows} / reltuples))::integer, "
               f"reltuples = {rows} WHERE oid = 'orders'::regclass "
               "OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'orders'::regclass)")


def memory_round(server, tools, rows):
    """Plans and runs on the table as it is, and with statistics of 100M rows. The latter still holds
    `rows` rows, so its run shows what the plan weighs, not what 100M rows do."""
    measured = {}
    for planned in (rows, PLANNED_ROWS):
        database = _warm_copy(server)
        if planned != rows:
            _pretend_rows(server, database, planned)
        variant = Pawl()
        plan = _checked([tools.pawl, "plan", variant.write_file(tools), "--database",
                         server.url(database)])
        run = _checked(variant.argv(tools, server, database))
        name = "as it is" if planned == rows else "planned as 100M rows"
        measured[name] = {"plan_rss_mib": plan.rss_bytes / (1 << 20),
                          "run_rss_mib": run.rss_bytes / (1 << 20), "rows_planned": planned}
    return measured


def verify_round(server, tools, rows):
    """The binary makes its own table and leaves it, so only the first round builds it."""
    path = os.path.join(tools.folder, "verify.json")
    _checked([tools.verify_stream_bench, "--database", server.url("postgres"), "--rows", str(rows),
              "--rounds", "1", "--json", path])
    with open(path, encoding="utf-8") as file:
        ways = json.load(file)["ways"]
    return {_way_name(way): {"rows_per_second": way["rows_per_second"], "to_floor": way["ratio"]}
            for way in ways}


def _way_name(way):
    """Ways of the same name are told apart by what they are measured against."""
    return way["way"] if way["way"] == way["floor"] else f"{way['floor'].split(':')[0]}: {way['way']}"


@dataclasses.dataclass
class Special:
    name: str
    question: str
    measure_round: Callable
    figures: list
    needs: str  # The attribute of Tools that has to exist.
    template: Optional[str] = "orders_bigint"


SPECIALS = {special.name: special for special in [
    Special("revert", "Taking a run back against running it", revert_round,
            [Figure(f"rows/s of the revert (undo={undo}) to the forward run", "to_forward",
                    f"revert of pawl undo={undo}", at_least=0.9) for undo in ("implicit", "image")] +
            [Figure(f"rows/s of the same run again after it (undo={undo}) to the first",
                    "again_to_forward", f"revert of pawl undo={undo}")
             for undo in ("implicit", "image")],
            "pawl"),
    Special("resume", "From start to the first new batch, after kill -9", resume_round,
            [Figure("seconds", "resume_seconds", "pawl", at_most=2)], "pawl"),
    Special("memory", "Memory of pawl, by rows planned", memory_round,
            [Figure("MiB, plan of 100M rows", "plan_rss_mib", "planned as 100M rows", at_most=100),
             Figure("MiB, run of a plan of 100M rows", "run_rss_mib", "planned as 100M rows",
                    at_most=100),
             Figure("plan of 100M rows to the plan as it is", "plan_rss_mib", "planned as 100M rows",
                    ("as it is",), at_most=1.1),
             Figure("run of 100M planned rows to the run as it is", "run_rss_mib",
                    "planned as 100M rows", ("as it is",), at_most=1.1)], "pawl"),
    Special("verify", "The stream of rows to the digest", verify_round, [], "verify_stream_bench",
            template=None),
]}


def run_special(special, server, tools, rows, round_count):
    rounds, failures = [], []
    for number in range(1, round_count + 1):
        say(f"{special.name}, round {number} of {round_count}")
        try:
            rounds.append(special.measure_round(server, tools, rows))
        except BenchError as error:
            failures.append(f"{special.name}, round {number}: {error}")
            say(f"  FAILED {failures[-1]}")
    return rounds, failures
