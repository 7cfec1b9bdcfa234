"""Which variants are compared in which state, and which figure each suite has to reach.

A figure compares variants within one round and takes the median over the rounds. Where it names
several opponents, `pick` says whether the faster or the slower one of that round counts.
"""

import dataclasses
import statistics
from typing import Callable, Optional

from harness.variants import Bare, Pawl


@dataclasses.dataclass
class Figure:
    text: str
    metric: str  # A key of a measurement.
    of: str  # Name of a variant.
    to: tuple = ()  # Opponents; none: the metric itself counts.
    pick: Callable = max
    at_least: Optional[float] = None
    at_most: Optional[float] = None

    def values(self, rounds):
        """One value for each round in which every variant it needs was measured."""
        found = []
        for measured in rounds:
            needed = [measured.get(name, {}).get(self.metric) for name in (self.of, *self.to)]
            if any(value is None for value in needed):
                continue
            if self.to:
                needed[0] /= self.pick(needed[1:])
            found.append(needed[0])
        return found

    def limit(self):
        if self.at_least is not None:
            return f"≥ {self.at_least:g}"
        return f"≤ {self.at_most:g}" if self.at_most is not None else "–"

    def holds(self, value):
        """None if there is no limit: the figure is shown, not judged."""
        if value is None or (self.at_least is None and self.at_most is None):
            return None
        return value >= self.at_least if self.at_least is not None else value <= self.at_most

    def judge(self, rounds):
        values = self.values(rounds)
        value = statistics.median(values) if values else None
        return {"figure": self.text, "of": self.of, "to": list(self.to), "limit": self.limit(),
                "value": value, "low": min(values, default=None), "high": max(values, default=None),
                "rounds": len(values), "holds": self.holds(value)}


RATE = "rows_per_second"
RATE_WHOLE = "rows_per_second_whole"


@dataclasses.dataclass
class Suite:
    name: str
    question: str
    template: str
    variants: list
    base: str  # Variant that the ratios in the table refer to.
    figures: list
    old_snapshot: bool = False
    cold: bool = False


def _frugal(of):
    return [Figure("CPU of pawl to CPU of the server", "cpu_share", of, at_most=0.05),
            Figure("memory of pawl, MiB", "rss_mib", of, at_most=100)]


STRIDES = Suite(
    "strides", "A full run in strides against one giant UPDATE", "orders_bigint",
    [Bare("giant"), Bare("block_strides"), Bare("key_strides"), Pawl(), Pawl("undo=image")],
    "giant",
    [Figure("rows/s of the backfill to giant", RATE, "pawl", ("giant",), at_least=2.5),
     Figure("rows/s of the backfill with images to giant", RATE, "pawl undo=image", ("giant",),
            at_least=2.5),
     Figure("rows/s of the whole run, proof included, to giant", RATE_WHOLE, "pawl", ("giant",)),
     Figure("WAL to giant", "wal_bytes", "pawl", ("giant",), at_most=0.65),
     Figure("table growth", "table_growth", "pawl", at_most=0.20),
     Figure("index growth", "index_growth", "pawl", at_most=0.30),
     *_frugal("pawl")])

INDEXED = Suite(
    "indexed", "The changed column is indexed, so that no update is HOT", "orders_indexed",
    [Bare("giant"), Bare("key"), Bare("block"), Pawl(column_exists=True)],
    "giant",
    [Figure("rows/s of the backfill to giant", RATE, "pawl", ("giant",), at_least=1.4)])

BARE = Suite(
    "bare", "What the promises cost: Pawl against a bare loop of the same order", "orders_bigint",
    [variant for order in ("key", "key_strides", "block_strides")
     for variant in (Bare(order), Pawl(f"order={order}"))],
    "bare key",
    [Figure(f"rows/s, order {order}, to the bare loop", RATE, f"pawl order={order}",
            (f"bare {order}",), at_least=0.85)
     for order in ("key", "key_strides", "block_strides")])

OLD_SNAPSHOT = Suite(
    "old_snapshot", "Another session holds an old snapshot all along", "orders_bigint",
    [Bare("key"), Bare("block"), Bare("block_strides"), Pawl("order=key"), Pawl("order=block"),
     Pawl()],
    "bare key",
    [Figure("rows/s of pawl's own pick to its best plain order", RATE, "pawl",
            ("pawl order=key", "pawl order=block"), at_least=0.9)],
    old_snapshot=True)

FILLFACTOR = Suite(
    "fillfactor", "Fillfactor 90", "orders_fillfactor",
    [Bare("giant"), Bare("block_strides"), Bare("key_strides"), Pawl()],
    "giant",
    [Figure("rows/s of the backfill to giant", RATE, "pawl", ("giant",), at_least=2.5),
     Figure("table growth", "table_growth", "pawl", at_most=0.20)])


def _uuid(name, question, base, cold):
    return Suite(
        name, question, "orders_uuid",
        [Bare("key"), Bare("block"), Bare("block_strides"), Pawl("order=key"), Pawl("order=block"),
         Pawl()],
        base,
        [Figure("rows/s of pawl's own pick to the worse of key and block order", RATE, "pawl",
                ("pawl order=key", "pawl order=block"), pick=min, at_least=1.8)],
        cold=cold)


UUID_WARM = _uuid("uuid_warm", "Random uuid key, everything cached", "bare block", cold=False)
UUID_COLD = _uuid("uuid_cold", "Random uuid key, small cold cache", "bare key", cold=True)

SUITES = {suite.name: suite for suite in
          [STRIDES, INDEXED, BARE, OLD_SNAPSHOT, FILLFACTOR, UUID_WARM, UUID_COLD]}
