"""The migrations whose impact is measured: each names a command line, or none."""

import dataclasses
import os

from harness import tables

# Rows a batch and pause of one who tunes by hand, from what everybody starts with to what is best.
BARE_SLEEPS = ((1000, 20), (200, 5), (200, 10), (100, 10))
LIMITS = ("+10%", "+25%", "+50%", "+100%")  # +50% is the standard.


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
    options: tuple = ()

    def argv(self, tools, server, database):
        path = os.path.join(tools.folder, "impact.sql")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"UPDATE orders SET {tables.JOB_SET} WHERE {tables.JOB_WHERE};\n")
        argv = [tools.pawl, "run", path, "--database", server.url(database), "--workers", "2",
                "--no-verify", "--json"]
        for setting in self.settings:
            argv += ["--set", setting]
        return argv + list(self.options)


def variants():
    def bare(rows, *options):
        return ("--rows-per-batch", str(rows), "--async-commit", *options)

    return [
        Nothing(), Bare("giant UPDATE", "giant"),
        Bare("bare loop, 2 workers", "key", bare(1000, "--workers", "2")),
        *[Bare(f"bare loop, {rows} rows, sleep {ms} ms", "key",
               bare(rows, "--workers", "1", "--sleep-ms", str(ms))) for rows, ms in BARE_SLEEPS],
        *[Pawl(f"pawl {limit}", (f"limit.latency={limit}",)) for limit in LIMITS],
        Pawl("pawl, throttle off", ("throttle=off",))]


def floors():
    """Measured where they are named only: how little a migration can be felt at all."""
    return [
        *[Bare(f"floor: bare strides of {rows} rows, {ms} ms apart", "key_strides",
               ("--rows-per-batch", str(rows), "--async-commit", "--workers", "1",
                "--sleep-ms", str(ms))) for rows, ms in ((20, 1), (100, 5))],
        Pawl("floor: pawl, throttle off, 15,000 rows/s", ("throttle=off",), ("--pace", "15000")),
        Pawl("floor: pawl, held", ("window=00:00-00:01 UTC",))]
