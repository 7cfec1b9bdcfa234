"""What does the application feel while a migration runs, and how fast is the migration then?

pgbench plays the application: two point reads and an update on the very table, at a fixed rate of
about 30 % of what the server can do, with latency counted from the scheduled time, so that waiting
in line counts. Only transactions that ended while the migration was at work are counted. Variants
take turns in shuffled order, each on a fresh copy of the table; medians over the rounds.
"""

import dataclasses
import glob
import json
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time

from harness import plot, tables
from harness.measure import Client
from harness.series import say
from harness.server import BenchError
from harness.variants import last_json

CLIENTS = 8
SHARE = 0.3  # Of what the server can do, asked for by the application.
LEAD_SECONDS = 5  # Of the application alone, before the migration; not counted.
SPIKE_SECONDS = 20
WHOLE_FACTOR = 3
SERVER = {"shared_preload_libraries": "pg_stat_statements"}

# As the application writes it: each statement a transaction, prepared.
SCRIPT = """\\set a random(1, {rows})
\\set b random(1, {rows})
\\set c random(1, {rows})
SELECT total, status FROM orders WHERE id = :a;
SELECT total, status FROM orders WHERE id = :b;
UPDATE orders SET quantity = quantity % 9 + 1 WHERE id = :c;
"""

BARE_SLEEPS_MS = (5, 10, 20, 40)
LIMITS = ("+10%", "+25%", "+50%", "+100%")


def complete(arguments):
    """Fills in what was not given: enough rows that no variant is done within the first seconds."""
    arguments.seconds = arguments.seconds or (12 if arguments.quick else 60)
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 3)
    arguments.rows = arguments.rows or (300_000 if arguments.quick else 4_000_000)


@dataclasses.dataclass
class Nothing:
    name: str = "no migration"

    def argv(self, tools, server, database):
        return None


@dataclasses.dataclass
class Bare:
    name: str
    mode: str
    options: tuple = ()

    @property
    def whole(self):
        """One transaction has changed nothing before its end, so that has to be waited for."""
        return self.mode == "giant"

    def argv(self, tools, server, database):
        return [tools.bare_loop, self.mode, "--database", server.url(database), "--set",
                tables.JOB_SET, "--where", tables.JOB_WHERE, *self.options]


@dataclasses.dataclass
class Pawl:
    name: str
    settings: tuple = ()

    def argv(self, tools, server, database):
        path = os.path.join(tools.folder, "impact.sql")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"UPDATE orders SET {tables.JOB_SET} WHERE {tables.JOB_WHERE};\n")
        argv = [tools.pawl, "run", path, "--database", server.url(database), "--workers", "2",
                "--no-verify", "--json"]
        for setting in self.settings:
            argv += ["--set", setting]
        return argv


def variants():
    plain = ("--rows-per-batch", "1000", "--async-commit")
    return [
        Nothing(), Bare("giant UPDATE", "giant"),
        Bare("bare loop, 2 workers", "key", (*plain, "--workers", "2")),
        *[Bare(f"bare loop, sleep {ms} ms", "key",
               (*plain, "--workers", "1", "--sleep-ms", str(ms))) for ms in BARE_SLEEPS_MS],
        Pawl("pawl"), *[Pawl(f"pawl {limit}", (f"limit.latency={limit}",)) for limit in LIMITS],
        Pawl("pawl, throttle off", ("throttle=off",))]


class Application:
    """pgbench at a fixed rate, or as fast as it can, with one line for each transaction."""

    def __init__(self, server, database, rows, seconds, rate=None):
        self._folder = tempfile.mkdtemp(prefix="pawl-impact-")
        script = os.path.join(self._folder, "script.sql")
        with open(script, "w", encoding="utf-8") as file:
            file.write(SCRIPT.format(rows=rows))
        argv = [server.program("pgbench"), "--no-vacuum", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T",
                str(seconds), "-f", script, "-l", "--log-prefix",
                os.path.join(self._folder, "log"), server.url(database)]
        if rate:
            argv[-1:-1] = ["-R", str(rate)]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                         text=True)

    def finish(self):
        """Returns (end time, latency in ms) of each transaction, in the order of their end."""
        try:
            _, stderr = self._process.communicate()
            if self._process.returncode != 0:
                raise BenchError(f"pgbench failed: {stderr[-1000:].strip()}")
            done = []
            for path in glob.glob(os.path.join(self._folder, "log*")):
                with open(path, encoding="ascii") as log:
                    for line in log:
                        fields = line.split()
                        # client, number, latency in us or "failed"/"skipped", script, s, us, …
                        if fields[2].isdigit():
                            done.append((int(fields[4]) + int(fields[5]) / 1e6,
                                         int(fields[2]) / 1e3))
            return sorted(done)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None


def prepare(server, statistics_wanted=True):
    database = tables.fresh_copy(server, "orders_bigint")
    server.sql(database, tables.ADD_COLUMN)
    if statistics_wanted:
        server.sql(database, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    tables.prewarm(server, database)
    server.sql(database, "CHECKPOINT")
    return database


def calibrate(server, rows):
    """Transactions a second of the application alone, as fast as it can."""
    database = prepare(server)
    seconds = 10
    done = Application(server, database, rows, seconds).finish()
    return len(done) / seconds


def stop(client):
    """Ends a migration as a user would. Returns what it has said."""
    client.interrupt()
    try:
        return client.finish(seconds_max=60)
    except BenchError:
        return None


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
    gave_way = next((at - spiked_at for at, r in rates if at > spiked_at and r < before / 2), None)
    over = spiked_at + SPIKE_SECONDS
    back = next((at - over for at, r in rates if at > over and r > 0.8 * before), None)
    return {"rows_per_second_before": before, "gave_way_seconds": gave_way,
            "back_seconds": back}


def measure_idle(server, tools, rows):
    """Nobody else there: with the throttle against without."""
    measured = {}
    for name, settings in (("with", ()), ("without", ("throttle=off",))):
        database = prepare(server)
        client = Client(Pawl("", settings).argv(tools, server, database))
        answer = last_json(client.finish().stdout)
        measured[name] = answer["rows_done"] / answer["seconds"]
    return {"rows_per_second": measured["with"], "rows_per_second_off": measured["without"],
            "share": measured["with"] / measured["without"]}


def measure_growth(server, tools):
    """The changed column is indexed, so nothing is HOT: growth at limit.growth=25%."""
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


def median_of(rounds, metric):
    values = [measured[metric] for measured in rounds if measured.get(metric) is not None]
    return statistics.median(values) if values else None


def rate_at(points, p99):
    """Rows/s at which a family of settings reaches `p99`, between its two nearest points; None where
    it never does. Points: (p99, rows/s)."""
    ordered = sorted(point for point in points if None not in point)
    under = [point for point in ordered if point[0] <= p99]
    over = [point for point in ordered if point[0] > p99]
    if not under:
        return None
    if not over:
        return max(rate for _, rate in under)
    (p0, r0), (p1, r1) = under[-1], over[0]
    return r0 + (r1 - r0) * (p99 - p0) / (p1 - p0)


def judge(medians, extra):
    """Lines of (figure, needed, measured, holds)."""
    lines = []

    def add(text, needed, value, holds, shown):
        lines.append((text, needed, "–" if value is None else shown.format(value),
                      "–" if value is None else "yes" if holds(value) else "**no**"))

    alone = medians.get("no migration", {}).get("p99_ms")
    quarter = medians.get("pawl +25%", {})
    if alone and quarter:
        add("p99 at +25 % to no migration", "≤ 1.25", quarter["p99_ms"] / alone,
            lambda v: v <= 1.25, "{:.2f}")
        add("rows/s at +25 %", "≥ 15,000", quarter["rows_per_second"], lambda v: v >= 15_000,
            "{:,.0f}")
    if alone:
        def family(prefix):
            return [(m["p99_ms"], m["rows_per_second"]) for name, m in medians.items()
                    if name.startswith(prefix)]
        pawl = rate_at(family("pawl"), 1.75 * alone)
        slept = rate_at(family("bare loop, sleep"), 1.75 * alone)
        add("rows/s at p99 of 1.75 times alone, to the hand-tuned loop", "≥ 2",
            pawl / slept if pawl and slept else None, lambda v: v >= 2, "{:.2f}")
    if "spike" in extra:
        add("rate tripled: seconds until it has given way", "< 2",
            extra["spike"]["gave_way_seconds"], lambda v: v < 2, "{:.1f}")
        add("seconds until it is back at speed", "< 10", extra["spike"]["back_seconds"],
            lambda v: v < 10, "{:.1f}")
    if "idle" in extra:
        add("idle database: to unthrottled", "≥ 0.95", extra["idle"]["share"],
            lambda v: v >= 0.95, "{:.2f}")
    if "growth" in extra:
        add("table growth with limit.growth=25%", "< 30 %", 100 * extra["growth"]["growth"],
            lambda v: v < 30, "{:.0f} %")
    return lines


def markdown(medians, lines, environment):
    def ms(value):
        return "–" if value is None else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"

    text = [f"{environment}", "",
            "| migration | rows/s | p50 ms | p95 ms | p99 ms | worst ms | not served |",
            "|---|---|---|---|---|---|---|"]
    for name, m in medians.items():
        text.append(f"| {name} | {m['rows_per_second']:,.0f} | {ms(m['p50_ms'])} | "
                    f"{ms(m['p95_ms'])} | {ms(m['p99_ms'])} | {ms(m['max_ms'])} | "
                    f"{m['missing']:,.0f} |")
    text += ["", "| figure | needed | measured | holds |", "|---|---|---|---|"]
    text += [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join(text)


def chosen(arguments):
    """All variants, or those asked for; no migration is always among them."""
    return [variant for variant in variants() if arguments.variant is None
            or isinstance(variant, Nothing) or arguments.variant in variant.name]


def run(server, tools, arguments):
    server.stop()
    server.start(SERVER)
    say(f"building orders_bigint, {arguments.rows:,} rows")
    tables.create_template(server, "orders_bigint", arguments.rows)
    most = calibrate(server, arguments.rows)
    rate = max(1, round(SHARE * most))
    say(f"the application alone does {most:,.0f} transactions/s; it will ask for {rate:,}")
    rng = random.Random(arguments.seed)
    rounds, failures, extra = {}, [], {}
    for number in range(1, arguments.rounds + 1):
        order = chosen(arguments)
        rng.shuffle(order)
        for variant in order:
            say(f"impact, round {number} of {arguments.rounds}: {variant.name}")
            try:
                measured = measure(variant, server, tools, arguments.rows, arguments.seconds, rate)
                rounds.setdefault(variant.name, []).append(measured)
            except BenchError as error:
                failures.append(f"{variant.name}: {error}")
                say(f"  FAILED {failures[-1]}")
    if arguments.variant is None:
        tables.create_template(server, "orders_indexed", min(arguments.rows, 1_000_000))
        for name, once in (("spike", lambda: measure_spike(server, tools, arguments.rows, rate)),
                           ("idle", lambda: measure_idle(server, tools, arguments.rows)),
                           ("growth", lambda: measure_growth(server, tools))):
            say(f"impact: {name}")
            try:
                extra[name] = once()
            except BenchError as error:
                failures.append(f"{name}: {error}")
    medians = {variant.name: {metric: median_of(rounds[variant.name], metric)
                              for metric in rounds[variant.name][0]}
               for variant in chosen(arguments) if variant.name in rounds}
    lines = judge(medians, extra)
    environment = (f"{arguments.rows:,} rows, {CLIENTS} clients at {rate:,} transactions/s "
                   f"({SHARE:.0%} of {most:,.0f}), {arguments.seconds} s each, medians of "
                   f"{arguments.rounds}, seed {arguments.seed}, {os.cpu_count()} cores.")
    print(markdown(medians, lines, environment))
    for failure in failures:
        print(f"- failed: {failure}")
    plot.write_svg(arguments.svg, medians)
    path = arguments.json.replace("bench.json", "impact.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"environment": environment, "rounds": rounds, "extra": extra,
                   "failures": failures}, file, indent=1)
    say(f"the plot is {arguments.svg}, every measurement is in {path}")
    return 1 if failures or any(line[3] == "**no**" for line in lines) else 0
