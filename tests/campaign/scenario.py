"""What one seed means: a table, a migration, an application, and the faults that will befall them.

Everything is drawn here and from the seed alone, so that a seed replays; only timing may differ.
"""
from __future__ import annotations

import random
from dataclasses import dataclass

from changes import CHANGES, Change
from faults import FAULTS, Fault
from table import KEYS, Key


@dataclass(frozen=True)
class Scenario:
    seed: int
    change: Change
    key: Key
    rows: int
    fillfactor: int
    partitions: int
    index_x: bool
    options: str  # The -- pawl: line.
    workers: int
    processes: int
    seconds: float  # That the run takes at its pace, undisturbed.
    writers: int
    changes_per_second: float
    mix: tuple[str, ...]
    forward: tuple[Fault, ...]
    back: tuple[Fault, ...]
    reverts: bool
    stop_first: bool  # First a revert that stops at conflicts, then one that skips them.
    aborts: bool
    poisons: bool
    sanitized: bool  # The build with fault points and sanitizers.

    @property
    def faults(self) -> tuple[Fault, ...]:
        return self.forward + self.back

    def describe(self) -> str:
        parts = [self.change.name, f"{self.key.name} key", f"{self.rows} rows"]
        if self.partitions:
            parts.append(f"{self.partitions} partitions")
        parts.append(self.options.strip().removeprefix("-- pawl: "))
        parts.append(f"{self.processes}x{self.workers} workers")
        if self.forward:
            parts.append("faults: " + ", ".join(fault.name for fault in self.forward))
        if self.aborts:
            parts.append("aborted")
        if self.poisons:
            parts.append("poisoned")
        if self.reverts:
            parts.append("revert" + "".join(", " + fault.name for fault in self.back))
        return "; ".join(parts)


# An inverse knows who wrote a row, not what it holds.
_POISONED = ("update", "delete", "column", "insert")


def _orders(change: Change, partitions: int) -> list[str]:
    orders = ["", "order=key"]
    strided = change.kind in ("update", "column")
    if strided:
        orders += ["order=key_strides stride=4", "order=key_strides stride=8"]
    if change.block_order and not partitions:
        orders += ["order=block", "order=block_strides stride=4" if strided else "order=block"]
    return orders


def draw_faults(rng: random.Random, change: Change, forward: bool, count: int, sanitized: bool,
                only: str | None) -> list[Fault]:
    drawn: list[Fault] = []
    while len(drawn) < count:
        possible = [fault for fault in FAULTS.values()
                    if fault.fits(change, forward, sanitized)
                    and not any(fault.excludes(other) for other in drawn)]
        if only and not drawn and FAULTS[only].fits(change, forward, sanitized):
            possible = [FAULTS[only]]
        if not possible:
            break
        drawn.append(rng.choices(possible, [fault.weight for fault in possible])[0])
    return drawn


def draw(seed: int, *, only: str | None = None, change: str | None = None,
         sanitized_share: float = 0.3) -> Scenario:
    rng = random.Random(seed)
    chosen = rng.choice(CHANGES)
    sanitized = rng.random() < sanitized_share
    if change:
        chosen = next(c for c in CHANGES if c.name == change)
    if only:
        sanitized = FAULTS[only].sanitized if FAULTS[only].sanitized is not None else sanitized
    key = rng.choice(list(KEYS.values()))
    partitions = rng.choice((2, 3)) if rng.random() < 0.12 else 0
    aborts = rng.random() < 0.1
    forward = draw_faults(rng, chosen, True, rng.choice((1, 1, 2, 3)), sanitized, only)
    reverts = aborts or rng.random() < 0.6
    count_back = rng.choice((0, 1, 1, 2)) if reverts and not any(f.server for f in forward) else 0
    back = draw_faults(rng, chosen, False, count_back, sanitized, None)
    poisons = chosen.kind in _POISONED and chosen.undo != "inverse" and rng.random() < 0.25
    mix: tuple[str, ...] = ("touch", "touch", "raise", "price", "status", "insert", "delete")
    if poisons:
        mix = ("touch",)
    elif chosen.undo == "inverse":
        mix = ("touch", "raise", "delete")
    rows = 30_000 if rng.random() < 0.04 else rng.choice((1_000, 2_000, 2_000, 3_000, 5_000))
    rows //= 2 if sanitized else 1
    batch_rows = rng.choice((50, 100, 100, 250)) * (rows // 2_000 or 1)
    orders = _orders(chosen, partitions)
    order = rng.choice(orders)
    if any(fault.name == "old reader" for fault in forward) and "strides" in order:
        order = "order=key"
    if chosen.sync:
        aborts = False  # Nobody notes when an abort removes the trigger.
    # Keys are never changed here, so no row moves to another partition.
    moves = "allow=row_moves" if partitions and chosen.kind == "update" else ""
    options = " ".join(
        word for word in (f"batch_rows={batch_rows}", order, chosen.option, moves) if word)
    return Scenario(
        seed=seed, change=chosen, key=key, rows=rows, fillfactor=rng.choice((70, 100)),
        partitions=partitions, index_x=rng.random() < 0.2, options=f"-- pawl: {options}\n",
        workers=rng.choice((1, 2, 2, 3)), processes=rng.choice((1, 1, 1, 2)),
        seconds=rng.uniform(0.5, 1.3), writers=rng.choice((2, 2, 3)),
        changes_per_second=rng.choice((60, 150, 300)), mix=mix, forward=tuple(forward),
        back=tuple(back), reverts=reverts, stop_first=reverts and rng.random() < 0.3,
        aborts=aborts, poisons=poisons and not aborts, sanitized=sanitized)
