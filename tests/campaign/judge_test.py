"""The judge is judged: it accepts histories that are right, and none that is damaged.

A small model plays application and run in a random order, without a database. Then one thing is
damaged at a time: a row is skipped, changed twice, lost, a change of the application is dropped.
"""
from __future__ import annotations

import copy
import random
import unittest

from changes import CHANGES, Change, State, take_back, visit
from oracle import MARKS, Event, Facts, Judge
from table import KEYS, UPDATES, Image, inserted

KEY = KEYS["text"]
ROWS = 40


class Play:
    """Rows, an application and a run; `facts` is what it leaves."""

    def __init__(self, change: Change, seed: int, reverts: bool, skip: int = 0, twice: int = 0):
        self.change = change
        self.rng = random.Random(seed)
        self.states = {n: State(_without_nulls(inserted(KEY, n, n))) for n in range(1, ROWS + 1)}
        before = {n: state.row for n, state in self.states.items() if state.row}
        self.facts = Facts(copy.deepcopy(before), {}, {}, {})
        self.seq = 0
        self.mark(0)
        self._phase([n for n in self.states if n != skip] + ([twice] if twice else []), visit)
        self.mark(1)
        if reverts:
            self.mark(2)
            self._phase(list(self.states), take_back)
            self.mark(3)
        self.facts.after = {n: s.row for n, s in self.states.items() if s.row is not None}
        self.facts.archive = {n: s.archived for n, s in self.states.items() if s.archived}

    def mark(self, which: int) -> None:
        self.seq += 1
        self.facts.marks[MARKS[which]] = self.seq

    def _phase(self, todo: list[int], step) -> None:
        while todo:
            if self.rng.random() < 0.4:
                self._application()
                continue
            n = todo.pop(self.rng.randrange(len(todo)))
            self.states[n] = step(self.change, self.states[n])

    def _application(self) -> None:
        self.seq += 1
        n = self.rng.randint(1, ROWS)
        state = self.states[n]
        kind = self.rng.choice([*UPDATES, "delete"]) if state.row else "insert"
        image: Image | None
        if state.row is None:
            row: Image | None = _without_nulls(inserted(KEY, n, self.seq))
            image = row
        elif kind == "delete":
            row, image = None, state.row
        else:
            row = {**state.row, **UPDATES[kind][1](state.row, self.seq)}
            image = row
        self.states[n] = State(**{**state.__dict__, "row": row,
                                  "touched": state.record is not None})
        self.facts.events.setdefault(n, []).append(
            Event(self.seq, kind, n, self.seq, image, False))

    def verdict(self):
        return Judge(self.change, KEY, self.facts, True).judge()


def _without_nulls(row: Image) -> Image:
    return {name: value for name, value in row.items() if value is not None}


class JudgeTest(unittest.TestCase):
    def each(self):
        for change in CHANGES:
            if change.sync:
                continue  # The model has no trigger.
            for seed in range(20):
                with self.subTest(change=change.name, seed=seed):
                    yield change, seed

    def test_accepts_what_is_right(self):
        for change, seed in self.each():
            for reverts in (False, True):
                play = Play(change, seed, reverts)
                verdict = play.verdict()
                self.assertEqual(verdict.faults, [])
                changes = sum(state.changes for state in play.states.values())
                self.assertLessEqual(verdict.changes_min, changes)
                self.assertGreaterEqual(verdict.changes_max, changes)
                conflicts = {n for n, s in play.states.items() if s.conflict}
                self.assertLessEqual(conflicts, verdict.may_conflict)
                if change.undo != "implicit":
                    self.assertLessEqual(verdict.must_conflict, conflicts)

    def test_finds_a_row_that_was_skipped(self):
        found = 0
        for change, seed in self.each():
            n = 2 if change.kind != "delete" else 3
            play = Play(change, seed, False, skip=n)
            if n in play.facts.events or not change.matches(play.facts.before[n]):
                continue  # Deleted meanwhile, perhaps, and then there is nothing to skip.
            self.assertNotEqual(play.verdict().faults, [])
            found += 1
        self.assertGreater(found, 50)

    def test_finds_a_row_that_was_changed_twice(self):
        for change, seed in self.each():
            if change.kind != "update" or change.name == "shout":
                continue
            play = Play(change, seed, False, twice=2)
            if 2 not in play.facts.after or 2 in play.facts.events:
                continue
            self.assertNotEqual(play.verdict().doubled, [])

    def test_finds_any_damage_to_a_row(self):
        for change, seed in self.each():
            for column in ("x", "price", "filler", "status", "updates"):
                play = Play(change, seed, seed % 2 == 0)
                if not play.facts.after:
                    continue
                n = random.Random(seed).choice(sorted(play.facts.after))
                row = dict(play.facts.after[n])
                row[column] = "?" if isinstance(row.get(column), str) else -77
                play.facts.after[n] = row
                self.assertNotEqual(play.verdict().faults, [])

    def test_finds_a_row_that_is_gone_and_one_too_many(self):
        for change, seed in self.each():
            play = Play(change, seed, True)
            if play.facts.after:
                del play.facts.after[min(play.facts.after)]
                self.assertNotEqual(play.verdict().faults, [])
            play = Play(change, seed, False)
            play.facts.after[777] = _without_nulls(inserted(KEY, 777, 1))
            self.assertNotEqual(play.verdict().faults, [])

    def test_finds_a_change_of_the_application_that_was_undone(self):
        for change, seed in self.each():
            play = Play(change, seed, seed % 2 == 0)
            lines = [(n, e) for n, events in play.facts.events.items() for e in events
                     if e.kind == "touch"]
            if not lines:
                continue
            n, event = lines[-1]
            events = play.facts.events[n]
            if events[-1] is not event or n not in play.facts.after:
                continue
            play.facts.after[n] = {**play.facts.after[n],
                                   "updates": play.facts.after[n]["updates"] - 1}
            self.assertNotEqual(play.verdict().faults, [])


if __name__ == "__main__":
    unittest.main()
