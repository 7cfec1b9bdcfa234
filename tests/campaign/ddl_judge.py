"""The judge of a schema change. It knows the catalogue as pg_dump writes it, and the rows as the
application has noted them; nothing of it comes from the engine.
"""
from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal
from typing import Iterable

Row = dict[str, str | None]


def catalogue(dump: str) -> list[str]:
    """The statements of `pg_dump --schema-only`, in an order of their own, and the columns of a
    table in one of theirs: Pawl's new columns are the last ones."""
    statements = []
    for chunk in re.split(r";\s*\n", dump):
        lines = [line.strip() for line in chunk.splitlines()]
        lines = [line for line in lines if line and not line.startswith(("--", "SET ", "\\"))]
        if not lines or lines[0].startswith("SELECT pg_catalog.set_config"):
            continue
        if lines[0].startswith("CREATE TABLE"):
            lines[1:] = sorted(line.rstrip(",") for line in lines[1:])
        statements.append(" ".join(lines))
    return sorted(statements)


def faults_of_catalogue(expected: str, found: str) -> list[str]:
    """What one dump has and the other has not."""
    should, does = Counter(catalogue(expected)), Counter(catalogue(found))
    return [f"the catalogue lacks: {text}" for text in (should - does).elements()] + \
        [f"the catalogue has too much: {text}" for text in (does - should).elements()]


def _canonical(row: Row) -> Row:
    price = row.get("price")
    return {**row, "price": None if price is None else str(Decimal(price).normalize())}


def replay(before: Iterable[Row], history: Iterable[tuple[str, Row]]) -> tuple[dict[str, Row],
                                                                            Counter[str]]:
    """The rows as they must be, and how many children each has, by uid. `history` holds the kind of
    each change and the row as it then was, in the order in which they happened."""
    rows = {str(row["uid"]): _canonical(row) for row in before}
    items: Counter[str] = Counter()
    for kind, row in history:
        uid = str(row["uid"])
        if kind == "item":
            items[uid] += 1
        elif kind == "delete":
            rows.pop(uid, None)
            items.pop(uid, None)
        else:
            rows[uid] = _canonical(row)
    return rows, items


def faults_of_rows(expected: dict[str, Row], found: Iterable[Row]) -> list[str]:
    """Sentences about rows that are lost, too many, or hold something else."""
    faults = []
    there: dict[str, Row] = {}
    for row in map(_canonical, found):
        uid = str(row["uid"])
        if uid in there:
            faults.append(f"the row {uid} is there twice")
        there[uid] = row
    for uid, row in expected.items():
        if uid not in there:
            faults.append(f"the row {uid} is lost: {row}")
        elif there[uid] != row:
            wrong = {name: (value, there[uid].get(name)) for name, value in row.items()
                     if there[uid].get(name) != value}
            faults.append(f"the row {uid} holds other values (written, found): {wrong}")
    faults += [f"there is a row {uid} that nobody has written" for uid in there.keys() - expected]
    return faults
