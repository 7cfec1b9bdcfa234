"""The judge of rows: replays what the application did, row by row, and says what the table must be.

It knows the rows before, the application's own history (app.history) and the meaning of the
migration, and nothing of the engine. The one thing that cannot be known in advance is at which
moment between two changes of the application a batch met the row; so for each row it keeps every
state that is still possible. Each line of the history has the row as the application saw it, and
strikes out the states that disagree. Where none is left, the row was lost, doubled or damaged.
"""
from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace

from changes import Change, State, take_back, visit
from pg import Connection
from table import UPDATES, Image, Key, image_from, inserted, mark_of


@dataclass(frozen=True)
class Event:
    seq: int
    kind: str  # insert, delete, one of UPDATES, or a mark of the campaign itself
    n: int
    mark: int
    image: Image | None
    synced: bool | None  # The sync trigger was in place; None: perhaps, one partition has it first.


@dataclass
class Verdict:
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    changes_min: int = 0
    changes_max: int = 0
    must_conflict: set[int] = field(default_factory=set)
    may_conflict: set[int] = field(default_factory=set)

    @property
    def faults(self) -> list[str]:
        return self.lost + self.doubled + self.wrong


# In the order of a run's life; the campaign writes them into the history.
MARKS = ("run begins", "run is done", "revert begins", "revert is done")


@dataclass
class Facts:
    """All that the judge knows."""
    before: dict[int, Image]
    events: dict[int, list[Event]]  # Of each row, in order.
    marks: dict[str, int]  # Where in the history they stand.
    after: dict[int, Image]
    archive: dict[int, Image] = field(default_factory=dict)
    archive_kept: bool = True  # The rows that were in archive before are as they were.
    column_dropped: bool = False
    committed: set[tuple[int, int]] = field(default_factory=set)  # Writer and op.


# When the first sync trigger was there, the last; when the first was gone, the last.
SyncWindow = tuple[str | None, str | None, str | None, str | None]


def read_facts(connection: Connection, sync_window: SyncWindow) -> Facts:
    def images(sql: str) -> dict[int, Image]:
        return {int(n or 0): image_from(image) or {} for n, image in connection.query(sql)}

    facts = Facts(images("SELECT n, image FROM app.before"), defaultdict(list), {},
                  images("SELECT n, to_jsonb(t) FROM t"),
                  images("SELECT n, to_jsonb(a) FROM archive AS a WHERE n > 0"))
    for seq, writer, op, kind, n, image, synced in connection.query(
            "SELECT seq, writer, op, kind, n, image, CASE WHEN $1::timestamptz IS NULL OR at < $1 "
            "OR at >= $4::timestamptz THEN false WHEN at >= $2::timestamptz AND "
            "($3::timestamptz IS NULL OR at < $3) THEN true END "
            "FROM app.history ORDER BY seq", *sync_window):
        if kind in MARKS:
            facts.marks[kind] = int(seq)
            continue
        facts.committed.add((int(writer), int(op)))
        facts.events[int(n)].append(Event(int(seq), kind, int(n), mark_of(int(writer), int(op)),
                                          image_from(image),
                                          None if synced is None else synced == "t"))
    facts.archive_kept = 50 == connection.number(
        "SELECT count(*) FROM archive WHERE n < 0 AND doubled = -n AND note = 'was here'")
    facts.column_dropped = not connection.query(
        "SELECT FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'total' "
        "AND NOT attisdropped")
    return facts


class Judge:
    """`completed`: the run says that every row is done, so every row must be."""

    def __init__(self, change: Change, key: Key, facts: Facts, completed: bool):
        self._change = change
        self._key = key
        self._completed = completed
        self._before = facts.before
        self._events = facts.events
        self._marks = facts.marks
        self._after = facts.after
        self._archive = facts.archive
        self._archive_kept = facts.archive_kept
        self._column_dropped = change.kind == "column" and facts.column_dropped
        # In block order a row may move ahead of the run. The planner chooses it where it may.
        self._meets_again = change.block_order

    def judge(self) -> Verdict:
        verdict = Verdict()
        for n in self._before.keys() | self._events.keys() | self._after.keys() | \
                self._archive.keys():
            self._judge_row(n, verdict)
        if not self._archive_kept:
            verdict.wrong.append("rows that were in archive before are changed or gone")
        return verdict

    # ---- One row ----

    def _judge_row(self, n: int, verdict: Verdict) -> None:
        states = [State(self._before.get(n))]
        window = 0  # How many marks have been passed.
        for event in self._events.get(n, []):
            states, window = self._pass_marks(n, states, window, event.seq)
            reached = self._closure(states, window)
            kept = _distinct([after for state in reached
                              for after in self._apply(event, state, window)])
            if not kept:
                self._accuse(n, f"before {event.kind} {event.mark}", event.image, reached, verdict)
                return
            states = kept
        states, window = self._pass_marks(n, states, window, None)
        reached = self._closure(states, window)
        final = [state for state in reached
                 if _same(state.row, self._after.get(n), self._column_dropped)
                 and state.archived == self._archive.get(n)]
        if not final:
            held = self._after.get(n)
            if self._change.kind == "insert" and any(s.row == held for s in reached):
                held = self._archive.get(n)
                self._accuse_archive(n, held, reached, verdict)
            else:
                self._accuse(n, "in the end", held, reached, verdict)
            return
        verdict.changes_min += min(state.changes for state in final)
        verdict.changes_max += max(state.changes for state in final)
        if all(self._must_conflict(state) for state in final):
            verdict.must_conflict.add(n)
        if any(state.conflict for state in final) or self._inserted_meanwhile(n):
            verdict.may_conflict.add(n)

    def _must_conflict(self, state: State) -> bool:
        if self._change.undo == "implicit":  # Listed at the end of the way back.
            return state.conflict and state.row is not None and "total" in state.row
        return state.conflict

    def _inserted_meanwhile(self, n: int) -> bool:
        # To an inverse, which keeps no records, such a row looks like one that was changed.
        return self._change.undo == "inverse" and any(
            event.kind == "insert" for event in self._events.get(n, []))

    def _pass_marks(self, n: int, states: list[State], window: int,
                    seq: int | None) -> tuple[list[State], int]:
        """What must be true at the marks that lie before `seq` narrows the states down."""
        while window < len(MARKS) and MARKS[window] in self._marks and (
                seq is None or self._marks[MARKS[window]] < seq):
            states = self._closure(states, window)
            if MARKS[window] == "run is done" and self._completed and n in self._before:
                states = [state for state in states if state.visited] or states
            if MARKS[window] == "revert is done":
                states = [state for state in states if state.reverted] or states
            window += 1
        return states, window

    def _closure(self, states: list[State], window: int) -> list[State]:
        """All that a batch may have made of the row by now, besides leaving it for later."""
        working = window == MARKS.index("run is done")
        reverting = window == MARKS.index("revert is done")
        if not working and not reverting:
            return states
        reached = list(states)
        for state in states:
            if working and (not state.visited or self._meets_again):
                reached.append(visit(self._change, state))
            if reverting and not state.reverted:
                reached.append(take_back(self._change, state))
        return _distinct(reached)

    def _apply(self, event: Event, state: State, window: int) -> list[State]:
        """The state after the application's change, if the row is as the application saw it."""
        row = state.row
        if event.kind == "delete":
            if row is None or not _same(row, event.image, self._is_dropping(window)):
                return []
            return [replace(state, row=None, touched=True)]
        if (row is None) != (event.kind == "insert"):
            return []
        if row is None:
            after = inserted(self._key, event.n, event.mark)
        else:
            after = {**row, **UPDATES[event.kind][1](row, event.mark)}
        possible = [after]
        if event.synced is not False and event.kind in ("insert", "price"):
            synced = {**after, "total": after["price"] * after["qty"]}
            possible = [synced] if event.synced else [after, synced]
        if not any(_same(row, event.image, self._is_dropping(window)) for row in possible):
            return []
        return [replace(state, row=event.image, touched=state.record is not None)]

    def _is_dropping(self, window: int) -> bool:
        return self._column_dropped and window == MARKS.index("revert is done")

    # ---- What is wrong with a row that cannot be ----

    def _accuse(self, n: int, moment: str, held: Image | None, reached: list[State],
                verdict: Verdict) -> None:
        text = f"row {n} {moment} is {held}, and may only be " + " or ".join(
            str(state.row) for state in reached[:4])
        known = [state.row for state in reached if state.row is not None]
        if held is None:
            (verdict.lost if self._change.kind != "delete" else verdict.wrong).append(text)
        elif self._change.kind in ("update", "column") and any(
                _x(held) == _x(row) + 1 for row in known):
            verdict.doubled.append(text)
        elif self._change.kind in ("update", "column") and any(
                _x(held) == _x(row) - 1 for row in known):
            verdict.lost.append(text)  # The change of it.
        else:
            verdict.wrong.append(text)

    def _accuse_archive(self, n: int, held: Image | None, reached: list[State],
                        verdict: Verdict) -> None:
        text = f"row {n} of archive is {held}, and may only be " + " or ".join(
            str(state.archived) for state in reached[:4])
        (verdict.lost if held is None else verdict.wrong).append(text)


def _x(row: Image) -> int:
    return int(row.get("x", 0)) % 1000


def _same(row: Image | None, held: Image | None, without_total: bool) -> bool:
    if row == held:
        return True
    if not without_total or row is None or held is None or "total" in held:
        return False
    return {name: value for name, value in row.items() if name != "total"} == held


def _distinct(states: list[State]) -> list[State]:
    kept: list[State] = []
    for state in states:
        if state not in kept:
            kept.append(state)
    return kept
