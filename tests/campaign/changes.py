"""The migrations that are drawn from: their SQL, and what they do to a row, in Python.

The second half is the judge's, written from the meaning of the SQL and not from the engine: what a
batch makes of a row that it meets, and what a revert makes of it later.
"""
from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Callable

from table import Image


@dataclass(frozen=True)
class Change:
    name: str
    kind: str  # update, delete, insert, column (an update of a column that the file adds)
    sql: str
    columns: tuple[str, ...]
    matches: Callable[[Image], bool]
    written: Callable[[Image], Image]  # The changed columns; of an insert, the new row.
    undo: str = "image"  # image, inverse, implicit
    option: str = ""  # Beyond order and batch size.
    sync: bool = False
    block_order: bool = False  # Possible; a row may then be met several times.


def _upper(row: Image) -> Image:
    shouted = {} if "status" not in row else {"status": row["status"].upper() + "!"}
    return {"x": row["x"] + 1, **shouted}


def _label(row: Image) -> Image:
    return {"x": row["x"] + 1, **({} if row["grp"] == 7 else {"label": f"label {row['grp']}"})}


_TOTAL = ("ALTER TABLE t ADD COLUMN total bigint;\n\n{options}"
          "UPDATE t SET total = price * qty WHERE total IS NULL;\n")
_ALL = lambda row: True  # noqa: E731


def _total(**more: object) -> Change:
    change = Change("total", "column", _TOTAL, ("total",), lambda row: "total" not in row,
                    lambda row: {"total": row["price"] * row["qty"]}, undo="implicit",
                    block_order=True)
    return replace(change, **more)  # type: ignore[arg-type]


CHANGES = (
    Change("raise", "update", "{options}UPDATE t SET x = x + 1;\n", ("x",), _ALL,
           lambda row: {"x": row["x"] + 1}),
    Change("raise some", "update", "{options}UPDATE t SET x = x + 1 WHERE grp <> 3;\n", ("x",),
           lambda row: row["grp"] != 3, lambda row: {"x": row["x"] + 1}),
    Change("raise with inverse", "update", "{options}UPDATE t SET x = x + 1;\n", ("x",), _ALL,
           lambda row: {"x": row["x"] + 1}, undo="inverse", option='inverse="x = x - 1"'),
    Change("shout", "update",
           "{options}UPDATE t SET status = upper(status) || '!', x = x + 1 WHERE grp < 8;\n",
           ("status", "x"), lambda row: row["grp"] < 8, _upper),
    Change("from", "update",
           "{options}UPDATE t SET label = d.label, x = t.x + 1 FROM dim AS d WHERE d.id = t.grp;\n",
           ("label", "x"), lambda row: row["grp"] != 7, _label),
    Change("sub-select", "update",
           "{options}UPDATE t SET label = (SELECT d.label FROM dim AS d WHERE d.id = t.grp), "
           "x = x + 1;\n", ("label", "x"), _ALL, _label),
    Change("delete", "delete", "{options}DELETE FROM t WHERE grp IN (3, 4, 5);\n", (),
           lambda row: row["grp"] in (3, 4, 5), lambda row: {}, block_order=True),
    Change("insert", "insert",
           "{options}INSERT INTO archive (n, grp, doubled, note)\n"
           "SELECT n, grp, x * 2, status FROM t WHERE grp < 6;\n", (),
           lambda row: row["grp"] < 6,
           lambda row: {"n": row["n"], "grp": row["grp"], "doubled": row["x"] * 2,
                        **({"note": row["status"]} if "status" in row else {})}),
    _total(),
    _total(name="total in sync", option="keep_in_sync", sync=True),
    _total(name="total with images", option="undo=image", undo="image"),
    _total(name="total in sync with images", option="keep_in_sync undo=image", undo="image",
           sync=True),
)


@dataclass(frozen=True)
class State:
    """What may be true of one row at one moment."""
    row: Image | None
    visited: bool = False  # A batch has passed its key.
    record: tuple[Image, Image] | None = None  # Old and new: of the columns, or of the whole row.
    changes: int = 0  # Rows of the ledger that it gives.
    touched: bool = False  # By the application since its batch.
    reverted: bool = False
    conflict: bool = False
    archived: Image | None = field(default=None)


def _picked(row: Image, columns: tuple[str, ...]) -> Image:
    return {name: row[name] for name in columns if name in row}


def _put(row: Image, columns: tuple[str, ...], values: Image) -> Image:
    rest = {name: value for name, value in row.items() if name not in columns}
    return {**rest, **values}


def visit(change: Change, state: State) -> State:
    """A batch meets the row, or the place where it would be."""
    row = state.row
    if row is None or not change.matches(row):
        return replace(state, visited=True)
    if change.kind == "insert":
        return replace(state, visited=True, archived=change.written(row), changes=1,
                       record=({}, {}))
    met = replace(state, visited=True, changes=state.changes + 1, touched=False)
    if change.kind == "delete":
        return replace(met, row=None, record=(row, {}))
    new = change.written(row)
    kept = _picked(row, change.columns)
    # An expression that gives null leaves the column out of the image.
    return replace(met, row=_put(row, change.columns, new), record=(kept, new))


def take_back(change: Change, state: State) -> State:
    """The revert, which leaves conflicts alone, meets the row."""
    back = replace(state, reverted=True)
    row = state.row
    if change.undo == "implicit":
        if row is None or "total" not in row:
            return back
        if row["total"] != row["price"] * row["qty"]:
            return replace(back, conflict=True)
        return replace(back, row=_put(row, ("total",), {}))
    if change.undo == "inverse":
        if row is None:
            return back
        if state.record is None or state.touched:
            return replace(back, conflict=state.touched)
        return replace(back, row={**row, "x": row["x"] - 1})
    if state.record is None:
        return back
    old, new = state.record
    if change.kind == "insert":
        return replace(back, archived=None)
    if change.kind == "delete":
        return replace(back, conflict=True) if row is not None else replace(back, row=old)
    if row is None:
        return replace(back, conflict=True)
    held = _picked(row, change.columns)
    if held == new:
        return replace(back, row=_put(row, change.columns, old))
    return replace(back, conflict=held != old)
