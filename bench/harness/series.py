"""Runs a suite: every variant once per round, in shuffled order, each on its own fresh copy."""

import os
import sys

from harness import measure, tables
from harness.server import BenchError

BLOCK_BYTES = 8192
COLD_SHARED_BUFFERS_BYTES_PER_ROW = 128  # 128 MB for a million rows of 340 bytes, indexes included.
COLD_SHARED_BUFFERS_BYTES_MIN = 16 << 20
COLD_FILE_CACHE_BYTES_PER_ROW = 100
COLD_PROCESSES_BYTES = 64 << 20  # What the server's processes need beside the two caches.


def say(text):
    print(text, file=sys.stderr, flush=True)


def start_cold(server, rows):
    """Restarts the server with nothing cached and little room to cache. The room grows with the
    table, so that --quick asks the same question as the full run."""
    buffers = max(COLD_SHARED_BUFFERS_BYTES_MIN, rows * COLD_SHARED_BUFFERS_BYTES_PER_ROW)
    file_cache = rows * COLD_FILE_CACHE_BYTES_PER_ROW
    settings = {"shared_buffers": buffers // BLOCK_BYTES,
                "effective_cache_size": (buffers + file_cache) // BLOCK_BYTES}
    server.stop()
    server.forget_files()
    limited = server.start(settings, buffers + file_cache + COLD_PROCESSES_BYTES)
    if not limited:
        say("  the kernel did not let us limit the file cache: only shared_buffers is small")


def start_warm(server):
    server.stop()
    server.start()


def _measure(suite, variant, server, tools, rows):
    database = tables.fresh_copy(server, suite.template)
    variant.prepare(server, database)
    if suite.cold:
        server.sql(database, "CHECKPOINT")
        start_cold(server, rows)
    else:
        tables.prewarm(server, database)
        server.sql(database, "CHECKPOINT")
    snapshot = _hold_snapshot(server, database) if suite.old_snapshot else None
    try:
        return _run(variant, server, tools, database)
    finally:
        if snapshot is not None:
            snapshot.close()
        if suite.cold:
            start_warm(server)


def _hold_snapshot(server, database):
    session = server.session(database)
    session.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
    return session


def _run(variant, server, tools, database):
    table_bytes, index_bytes = tables.sizes(server, database)
    wal = measure.WalMeter(server, database)
    cpu_before = measure.server_cpu_seconds(server)
    cost = measure.run_client(variant.argv(tools, server, database))
    if cost.exit_status != 0:
        raise BenchError(f"exit status {cost.exit_status}: {cost.stderr[-2000:].strip()}")
    server_cpu = measure.server_cpu_seconds(server) - cpu_before
    wal_bytes = wal.bytes()
    wrong = int(server.scalar(database, tables.WRONG_ROWS))
    if wrong != 0:
        raise BenchError(f"{wrong} rows do not hold the value they should.")
    table_after, index_after = tables.sizes(server, database)
    answer = variant.read(cost)
    return {
        **answer,
        "rows_per_second": answer["rows"] / answer["seconds"],
        "rows_per_second_whole": answer["rows"] / answer["seconds_whole"],
        "seconds_process": cost.seconds,
        "wal_bytes": wal_bytes,
        "wal_mb": wal_bytes / 1e6,
        "table_bytes": table_bytes,
        "table_growth": table_after / table_bytes - 1,
        "index_growth": index_after / index_bytes - 1,
        "hot_share": tables.hot_share(server, database),
        "client_cpu_seconds": cost.cpu_seconds,
        "server_cpu_seconds": server_cpu,
        "cpu_share": cost.cpu_seconds / server_cpu if server_cpu else None,
        "rss_mib": cost.rss_bytes / (1 << 20),
        "load_1min": os.getloadavg()[0],
    }


def run_suite(suite, server, tools, rows, round_count, rng, with_pawl):
    """Returns the rounds, each a map from variant to measurement, and the failures as sentences."""
    variants = [variant for variant in suite.variants if with_pawl or not variant.needs_pawl]
    rounds, failures = [], []
    for number in range(1, round_count + 1):
        order = rng.sample(variants, len(variants))
        say(f"{suite.name}, round {number} of {round_count}: "
            + ", ".join(variant.name for variant in order))
        measured = {}
        for variant in order:
            try:
                measured[variant.name] = _measure(suite, variant, server, tools, rows)
            except BenchError as error:
                failures.append(f"{suite.name}, round {number}, {variant.name}: {error}")
                say(f"  FAILED {failures[-1]}")
                continue
            result = measured[variant.name]
            say(f"  {variant.name}: {result['rows_per_second']:,.0f} rows/s, "
                f"WAL {result['wal_bytes'] / 1e6:,.0f} MB, {result['seconds_process']:.1f} s")
        rounds.append(measured)
    return rounds, failures
