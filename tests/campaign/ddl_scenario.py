"""What one seed means where it is a change of the schema. Drawn here and from the seed alone."""
from __future__ import annotations

import random
from dataclasses import dataclass

from ddl_forms import EXTRAS, FORMS, Form
from faults import FAULTS, Fault
from scenario import draw_faults

# How it ends; each from wherever the faults have left it.
DONE, CONTRACT, REVERT, REVERT_FROM_THE_MIDDLE, GIVE_UP_THE_WAY_BACK = (
    "done", "contract", "revert", "revert from the middle", "revert, given up by a contract")


@dataclass(frozen=True)
class DdlScenario:
    seed: int
    change: Form
    extras: tuple[str, ...]
    rows: int
    fillfactor: int
    workers: int
    seconds: float  # That a backfill takes at its pace, undisturbed.
    writers: int
    changes_per_second: float
    end: str
    middle: float  # After so many seconds the run is given up, where it is to be.
    forward: tuple[Fault, ...]
    back: tuple[Fault, ...]  # On the way back, or during the contract.
    sanitized: bool
    again: bool  # After a revert, once more and to the end.
    processes: int = 1
    aborts = False

    @property
    def faults(self) -> tuple[Fault, ...]:
        return self.forward + self.back

    @property
    def reverts(self) -> bool:
        return self.end.startswith("revert")

    def describe(self) -> str:
        parts = [f"ddl {self.change.name}", f"{self.rows} rows", f"{self.workers} workers"]
        parts += [f"{len(self.extras)} extras"] if self.extras else []
        if self.forward:
            parts.append("faults: " + ", ".join(fault.name for fault in self.forward))
        parts.append(self.end + "".join(", " + fault.name for fault in self.back))
        if self.again:
            parts.append("again")
        return "; ".join(parts)


def is_ddl(seed: int) -> bool:
    """About a third of all runs. The other two thirds mean what they meant before there were any."""
    return random.Random(f"ddl {seed}").random() < 1 / 3


def draw_ddl(seed: int, *, only: str | None = None, change: str | None = None,
             sanitized_share: float = 0.3) -> DdlScenario:
    rng = random.Random(seed)
    form = rng.choice(list(FORMS.values()))
    if change:
        form = FORMS[change]
    sanitized = rng.random() < sanitized_share
    if only and FAULTS[only].sanitized is not None:
        sanitized = bool(FAULTS[only].sanitized)
    forward = draw_faults(rng, form, True, rng.choice((0, 1, 1, 2)) or bool(only), sanitized,
                          only)
    if form.contracts:
        end = rng.choice((CONTRACT, CONTRACT, REVERT, REVERT_FROM_THE_MIDDLE, GIVE_UP_THE_WAY_BACK))
    else:
        end = rng.choice((DONE, DONE, REVERT, REVERT_FROM_THE_MIDDLE))
    count = 0 if end == DONE or any(fault.server for fault in forward) else rng.choice((0, 1, 1, 2))
    back = draw_faults(rng, form, False, count, sanitized, None)
    rows = rng.choice((500, 1_000, 2_000, 3_000)) // (2 if sanitized else 1)
    return DdlScenario(
        seed=seed, change=form, extras=tuple(e for e in EXTRAS if rng.random() < 0.3), rows=rows,
        fillfactor=rng.choice((70, 100)), workers=rng.choice((1, 2)),
        seconds=rng.uniform(0.3, 1.0), writers=rng.choice((2, 3)),
        changes_per_second=rng.choice((60, 150, 300)), end=end, middle=rng.uniform(0, 1.0),
        forward=tuple(forward), back=tuple(back), sanitized=sanitized,
        again=end in (REVERT, REVERT_FROM_THE_MIDDLE) and rng.random() < 0.2)
