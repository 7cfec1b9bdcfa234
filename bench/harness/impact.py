"""What does the application feel while a migration runs, and how fast is the migration then?

pgbench plays the application: two point reads and an update on the very table, at a fixed rate of
about 30 % of what the server can do, with latency counted from the scheduled time, so that waiting
in line counts. Only transactions that ended while the migration was at work are counted. Variants
take turns in shuffled order, each on a fresh copy of the table; medians over the rounds.
"""

import json
import os
import random
import time

from harness import impact_extra, impact_report, plot, tables
from harness.impact_application import CLIENTS, LEAD_SECONDS, Application, calibrate, prepare, stop
from harness.impact_variants import Nothing, floors, variants
from harness.measure import Client
from harness.series import say
from harness.server import BenchError

SHARE = 0.3  # Of what the server can do, asked for by the application.
WHOLE_FACTOR = 5  # So much longer a transaction may take that has to be waited for.
SERVER = {"shared_preload_libraries": "pg_stat_statements"}


def complete(arguments):
    """Fills in what was not given: enough rows that no variant is done within the first seconds."""
    arguments.seconds = arguments.seconds or (12 if arguments.quick else 60)
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 3)
    arguments.rows = arguments.rows or (300_000 if arguments.quick else 4_000_000)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None


def measure(variant, server, tools, rows, seconds, rate):
    database = prepare(server)
    if getattr(variant, "whole", False):
        seconds *= WHOLE_FACTOR
    application = Application(server, database, rows, LEAD_SECONDS + seconds + 2, rate)
    time.sleep(LEAD_SECONDS)
    began, client = time.time(), None
    argv = variant.argv(tools, server, database)
    if argv:
        client = Client(argv)
    while time.time() < began + seconds and (client is None or client.running):
        time.sleep(0.05)
    ended = time.time()
    if client:
        stop(client)
    done = application.finish()
    latencies = [ms for at, ms in done if began < at < ended]
    changed = int(server.scalar(database, "SELECT count(total_cents) FROM orders"))
    # What the application was owed and did not get while the migration ran.
    owed = rate * (ended - began)
    return {"rows_per_second": changed / (ended - began), "seconds": ended - began,
            "p50_ms": percentile(latencies, 0.50), "p95_ms": percentile(latencies, 0.95),
            "p99_ms": percentile(latencies, 0.99), "max_ms": max(latencies, default=None),
            "transactions": len(latencies), "missing": max(0, round(owed - len(latencies)))}


def chosen(arguments):
    """All variants, or those whose name holds one of the words, and no migration."""
    if arguments.variant is None:
        return variants()
    if arguments.variant == "none":
        return []
    words = arguments.variant.split(",")
    return [variant for variant in variants() + floors()
            if isinstance(variant, Nothing) or any(word in variant.name for word in words)]


def extras(arguments):
    """The figures beside the curve: those asked for; without a word about them, all or none."""
    if arguments.extra is None:
        return list(impact_extra.EXTRAS) if arguments.variant is None else []
    unknown = set(arguments.extra.split(",")) - set(impact_extra.EXTRAS)
    if unknown:
        raise BenchError(f"There is no {', '.join(unknown)}; there are "
                         f"{', '.join(impact_extra.EXTRAS)}.")
    return arguments.extra.split(",")


class Found:
    """What was measured, by name; kept in a file, so that later runs can add to it."""

    def __init__(self, path, add):
        self._path = path
        self.rate = None
        self.most = None
        self.rounds, self.extra = {}, {}
        if add and os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                self.__dict__.update(json.load(file))

    def write(self):
        kept = {key: value for key, value in self.__dict__.items() if not key.startswith("_")}
        with open(self._path, "w", encoding="utf-8") as file:
            json.dump(kept, file, indent=1)

    def medians(self):
        order = [variant.name for variant in variants() + floors()]
        return {name: impact_report.medians(self.rounds[name])
                for name in order if name in self.rounds}

    def environment(self):
        taken = {len(measured) for measured in self.rounds.values()}
        rounds = f"{min(taken)} to {max(taken)}" if len(taken) > 1 else f"{max(taken, default=0)}"
        return (f"{CLIENTS} clients at {self.rate:,} transactions/s ({SHARE:.0%} of "
                f"{self.most:,.0f}), medians of {rounds} rounds, {os.cpu_count()} cores.")


def run(server, tools, arguments):
    server.stop()
    server.start({**SERVER, **dict(setting.split("=", 1) for setting in arguments.setting)})
    found = Found(arguments.json.replace("bench.json", "impact.json"), arguments.add)
    say(f"building orders_bigint, {arguments.rows:,} rows")
    tables.create_template(server, "orders_bigint", arguments.rows)
    if found.rate is None:
        found.most = calibrate(server, arguments.rows)
        found.rate = max(1, round(SHARE * found.most))
    say(f"the application alone does {found.most:,.0f} transactions/s; it asks for {found.rate:,}")
    rng = random.Random(arguments.seed)
    failures = []
    for number in range(1, arguments.rounds + 1):
        order = chosen(arguments)
        rng.shuffle(order)
        for variant in order:
            say(f"impact, round {number} of {arguments.rounds}: {variant.name}")
            try:
                measured = measure(variant, server, tools, arguments.rows, arguments.seconds,
                                   found.rate)
                say(impact_report.brief(measured))
                found.rounds.setdefault(variant.name, []).append(measured)
            except BenchError as error:
                failures.append(f"{variant.name}: {error}")
            found.write()
    for name in extras(arguments):
        say(f"impact: {name}")
        try:
            measured = impact_extra.EXTRAS[name](server, tools, arguments.rows, found.rate)
            say(str(measured))
            found.extra.setdefault(name, []).append(measured)
        except BenchError as error:
            failures.append(f"{name}: {error}")
        found.write()
    medians = found.medians()
    extra = {name: impact_report.medians(measured) for name, measured in found.extra.items()}
    lines = impact_report.judge(medians, extra)
    print(impact_report.markdown(medians, lines, found.environment()))
    for failure in failures:
        print(f"- failed: {failure}")
    plot.write_svg(arguments.svg, medians)
    say(f"the plot is {arguments.svg}")
    return 1 if failures or any(line[3] == "**no**" for line in lines) else 0
