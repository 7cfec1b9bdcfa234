"""The figures of --impact beside the curve: a load spike, an idle database, growth at its limit."""

import statistics
import time

from harness import tables
from harness.impact_application import LEAD_SECONDS, Application, prepare, stop
from harness.impact_variants import Pawl
from harness.measure import Client
from harness.server import BenchError
from harness.variants import last_json

SPIKE_SECONDS = 20
GROWTH_ROWS = 1_000_000


class RateWatch:
    """Rows a second of a Pawl run, by its ledger, four times a second."""

    def __init__(self, server, database):
        self._session = server.session(database)
        self._seen = []

    def look(self):
        if self._session.query("SELECT to_regclass('pawl.ledger') IS NOT NULL") == ["t"]:
            rows = self._session.query("SELECT coalesce(sum(rows), 0) FROM pawl.ledger")[0]
            self._seen.append((time.monotonic(), int(rows)))

    def rates(self, window=1.0):
        """(time, rows/s over the second before it)."""
        found = []
        for index, (at, rows) in enumerate(self._seen):
            before = [moment for moment in self._seen[:index] if moment[0] <= at - window]
            if before:
                found.append((at, (rows - before[-1][1]) / (at - before[-1][0])))
        return found

    def close(self):
        self._session.close()


def measure_spike(server, tools, rows, rate):
    """Triples the application's rate for 20 s in the middle of a run at +25 %."""
    database = prepare(server)
    calm = 25
    length = calm + SPIKE_SECONDS + 20
    application = Application(server, database, rows, length + 5, rate)
    time.sleep(LEAD_SECONDS)
    client = Client(Pawl("", ("limit.latency=+25%",)).argv(tools, server, database))
    watch = RateWatch(server, database)
    started, spike, spiked_at = time.monotonic(), None, None
    try:
        while time.monotonic() < started + length and client.running:
            watch.look()
            if spike is None and time.monotonic() > started + calm:
                spiked_at = time.monotonic()
                spike = Application(server, database, rows, SPIKE_SECONDS, 2 * rate)
            time.sleep(0.25)
    finally:
        watch.close()
        stop(client)
        application.finish()
        if spike:
            spike.finish()
    if spiked_at is None:
        raise BenchError("the run was done before the spike: use more --rows")
    rates = watch.rates()
    before = statistics.mean(r for at, r in rates if spiked_at - 10 < at < spiked_at)
    # For three seconds at least: a drain is no giving way.
    gave_way = next((at - spiked_at for at, _ in rates if at > spiked_at and all(
        r < before / 2 for then, r in rates if at <= then < at + 3)), None)
    over = spiked_at + SPIKE_SECONDS
    back = next((at - over for at, r in rates if at > over and r > 0.8 * before), None)
    return {"rows_per_second_before": before, "gave_way_seconds": gave_way,
            "back_seconds": back}


def measure_idle(server, tools, rows, rate):
    """Nobody else there: with the throttle against without, there and back."""
    seconds = {"on": 0, "off": 0}
    for throttle in ("on", "off", "off", "on"):
        database = prepare(server)
        client = Client(Pawl("", (f"throttle={throttle}",)).argv(tools, server, database))
        seconds[throttle] += last_json(client.finish().stdout)["seconds"]
    return {"rows_per_second": 2 * rows / seconds["on"],
            "rows_per_second_off": 2 * rows / seconds["off"],
            "share": seconds["off"] / seconds["on"]}


def measure_growth(server, tools, rows, rate):
    """The changed column is indexed, so nothing is HOT: growth at limit.growth=25%."""
    tables.create_template(server, "orders_indexed", min(rows, GROWTH_ROWS))
    database = tables.fresh_copy(server, "orders_indexed")
    before, _ = tables.sizes(server, database)
    argv = Pawl("", ("limit.growth=25%",)).argv(tools, server, database)
    cost = Client(argv).finish()
    if cost.exit_status != 0:
        raise BenchError(f"pawl with limit.growth: {cost.stderr[-1000:].strip()}")
    after, _ = tables.sizes(server, database)
    answer = last_json(cost.stdout)
    return {"growth": after / before - 1,
            "rows_per_second": answer["rows_done"] / answer["seconds"]}


EXTRAS = {"spike": measure_spike, "idle": measure_idle, "growth": measure_growth}
