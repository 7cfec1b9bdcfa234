"""The application that feels a migration: pgbench on the very table, and a fresh database for it."""

import glob
import os
import shutil
import subprocess
import tempfile

from harness import tables
from harness.server import BenchError

CLIENTS = 8
LEAD_SECONDS = 5  # Of the application alone, before the migration; not counted.

# As the application writes it: each statement a transaction, prepared.
SCRIPT = """\\set a random(1, {rows})
\\set b random(1, {rows})
\\set c random(1, {rows})
SELECT total, status FROM orders WHERE id = :a;
SELECT total, status FROM orders WHERE id = :b;
UPDATE orders SET quantity = quantity % 9 + 1 WHERE id = :c;
"""


class Application:
    """pgbench at a fixed rate, or as fast as it can, with one line for each transaction."""

    def __init__(self, server, database, rows, seconds, rate=None):
        self._folder = tempfile.mkdtemp(prefix="pawl-impact-")
        script = os.path.join(self._folder, "script.sql")
        with open(script, "w", encoding="utf-8") as file:
            file.write(SCRIPT.format(rows=rows))
        argv = [server.program("pgbench"), "--no-vacuum", "-M", "prepared", "-c", str(CLIENTS),
                "-j", "2", "-T", str(seconds), "-f", script, "-l", "--log-prefix",
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
