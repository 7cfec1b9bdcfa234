"""The contestants: each prepares a database, names a command line, and reads its answer.

A variant that found the wrong rows, or that reports nothing, has no figure.
"""

import dataclasses
import json
import os

from harness import tables
from harness.server import BenchError


@dataclasses.dataclass
class Tools:
    """Where the binaries and scratch files are."""

    build: str
    folder: str

    @property
    def pawl(self):
        return os.path.join(self.build, "cli", "pawl")

    @property
    def bare_loop(self):
        return os.path.join(self.build, "bench", "bare_loop")

    @property
    def verify_stream_bench(self):
        return os.path.join(self.build, "bench", "verify_stream_bench")


def last_json(text):
    """The last line that is a JSON object, or the whole text as one."""
    for candidate in [*reversed(text.strip().splitlines()), text]:
        try:
            value = json.loads(candidate)
        except json.JSONDecodeError:
            continue
        if isinstance(value, dict):
            return value
    raise BenchError(f"No JSON object in the output: {text[-500:]!r}")


# The best of the trials; bench/README.md has the reasons.
BARE_OPTIONS = {
    "giant": {},
    "key": {"rows-per-batch": 5000},
    "block": {"rows-per-batch": 5000},
    "key_strides": {"rows-per-batch": 1000, "stride": 16, "window-pages": 5000},
    "block_strides": {"rows-per-batch": 1000, "stride": 16, "window-pages": 5000},
}


@dataclasses.dataclass
class Bare:
    """bare_loop in one mode. The column exists already, so that only the update is timed."""

    mode: str
    workers: int = 2

    needs_pawl = False

    @property
    def name(self):
        return self.mode if self.mode == "giant" else f"bare {self.mode}"

    def prepare(self, server, database):
        server.sql(database, tables.ADD_COLUMN.replace("ADD COLUMN", "ADD COLUMN IF NOT EXISTS"))

    def argv(self, tools, server, database):
        argv = [tools.bare_loop, self.mode, "--database", server.url(database), "--set",
                tables.JOB_SET, "--where", tables.JOB_WHERE, "--workers", str(self.workers)]
        for name, value in BARE_OPTIONS[self.mode].items():
            argv += [f"--{name}", str(value)]
        return argv if self.mode == "giant" else [*argv, "--async-commit"]

    def read(self, cost):
        answer = last_json(cost.stdout)
        # Its counting before and after is not part of what it is compared for.
        return {"rows": answer["rows"], "seconds": answer["seconds"],
                "seconds_whole": answer["seconds"], "details": answer}


@dataclasses.dataclass
class Pawl:
    """`pawl run` of the job, column and all. `options` go into the file: order, undo.

    Without the throttle: nobody else is there, and what it costs then is a figure of --impact.
    """

    options: str = ""
    column_exists: bool = False
    workers: int = 2

    needs_pawl = True

    @property
    def name(self):
        return f"pawl {self.options}".strip()

    def prepare(self, server, database):
        pass

    def write_file(self, tools):
        lines = [] if self.column_exists else [f"{tables.ADD_COLUMN};"]
        if self.options:
            lines.append(f"-- pawl: {self.options}")
        lines.append(f"UPDATE orders SET {tables.JOB_SET} WHERE {tables.JOB_WHERE};")
        # A name that stays the same: starting again must find the same migration.
        path = os.path.join(tools.folder, f"{self.name.replace(' ', '-').replace('=', '-')}.sql")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        return path

    def argv(self, tools, server, database):
        return [tools.pawl, "run", self.write_file(tools), "--database", server.url(database),
                "--workers", str(self.workers), "--set", "throttle=off", "--json"]

    def read(self, cost):
        answer = last_json(cost.stdout)
        if answer.get("rows_verified") != answer["rows_done"]:
            raise BenchError(f"pawl changed {answer['rows_done']} rows but verified "
                             f"{answer.get('rows_verified')}.")
        # `seconds` is the backfill alone; the whole is process start to exit, proof included.
        return {"rows": answer["rows_done"], "seconds": answer["seconds"],
                "seconds_whole": cost.seconds, "details": answer}
