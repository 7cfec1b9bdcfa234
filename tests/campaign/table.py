"""The table that is migrated: its keys, its rows, and what the application does to a row.

A row has an identity `n` that nobody changes, columns that the application writes, columns that the
migration writes, some that both do, and a few of other types that must come back as they were.
"""
from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import Any, Callable

Image = dict[str, Any]  # A row as PostgreSQL's to_jsonb gives it; without nulls.


def image_from(text: str | None) -> Image | None:
    """Numbers with a point stay text, so that nothing is rounded."""
    if text is None:
        return None
    row = json.loads(text, parse_float=str)
    return {name: value for name, value in row.items() if value is not None}


@dataclass(frozen=True)
class Key:
    """A primary key: its columns, and its value for the row n."""
    name: str
    columns: tuple[tuple[str, str], ...]  # Name and type; ("n", …) is the identity itself.
    expressions: tuple[str, ...]  # Of n, for loading.
    of: Callable[[int], tuple[str, ...]]
    spread: int = 1  # Distance of neighbouring n.

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.columns]

    def where(self, first_parameter: int = 1) -> str:
        return " AND ".join(f"{name} = ${i}::{kind.split()[0]}" for i, (name, kind) in
                            enumerate(self.columns, first_parameter))


KEYS = {
    key.name: key for key in (
        Key("sequential", (("n", "bigint"),), ("n",), lambda n: (str(n),)),
        Key("sparse", (("n", "bigint"),), ("n",), lambda n: (str(n),), spread=997),
        Key("composite", (("a", "integer"), ("b", "text")), ("(n % 13)::integer", "'b' || n"),
            lambda n: (str(n % 13), f"b{n}")),
        Key("uuid", (("id", "uuid"),), ("md5('k' || n)::uuid",),
            lambda n: (str(uuid.UUID(hashlib.md5(f"k{n}".encode()).hexdigest())),)),
        # A collation whose order is not that of the bytes, and keys that differ in case.
        Key("text", (("code", 'text COLLATE "en-x-icu"'),),
            ("(ARRAY['ab', 'Ab', 'aB'])[n % 3 + 1] || '-' || n",),
            lambda n: (f"{('ab', 'Ab', 'aB')[n % 3]}-{n}",)),
    )
}

_COLUMNS = """
  grp integer NOT NULL, x integer NOT NULL, price integer NOT NULL, qty integer NOT NULL,
  status text, label text, updates integer NOT NULL DEFAULT 0,
  zn numeric, zt timestamptz, zb bytea, za text[], zf double precision, filler text"""


def create_sql(key: Key, rows: int, fillfactor: int, partitions: int, index_x: bool) -> str:
    columns = [f"{name} {kind} NOT NULL" for name, kind in key.columns if name != "n"]
    storage = f" WITH (fillfactor = {fillfactor})"
    sql = "CREATE TABLE t (n bigint NOT NULL, " + ", ".join(columns + [_COLUMNS]) + \
          f", PRIMARY KEY ({', '.join(key.names)}))"
    if partitions:
        sql += f" PARTITION BY HASH ({key.names[0]})" + "".join(
            f"; CREATE TABLE t_{i} PARTITION OF t FOR VALUES WITH (MODULUS {partitions}, "
            f"REMAINDER {i}){storage}" for i in range(partitions))
    else:
        sql += storage
    if index_x:
        sql += "; CREATE INDEX ON t (x)"
    identity = "i" if key.spread == 1 else f"i * {key.spread} + (i * i) % {key.spread // 2}"
    key_columns = "".join(f", {name}" for name in key.names if name != "n")
    key_values = "".join(f", {expression}" for name, expression in
                         zip(key.names, key.expressions) if name != "n")
    sql += f"""
; INSERT INTO t (n{key_columns}, grp, x, price, qty, status, zn, zt, zb, za, zf, filler)
  SELECT n{key_values}, i % 10, i % 100, i % 90 + 1, i % 7 + 1,
         CASE WHEN i % 11 > 0 THEN 'state ' || i END,
         CASE WHEN i % 5 > 0 THEN i * 1.10 END, '2020-01-01'::timestamptz + i * interval '1.5 s',
         decode(md5(i::text), 'hex'), ARRAY['a"' || i, NULL, 'ü,' || i], sqrt(i),
         repeat('x', (i % 60)::integer)
    FROM (SELECT i, ({identity})::bigint AS n FROM generate_series(1, {rows}::bigint) AS i) AS s
; CREATE TABLE dim (id integer PRIMARY KEY, label text)
; INSERT INTO dim SELECT i, 'label ' || i FROM generate_series(0, 9) AS i WHERE i <> 7
; CREATE TABLE archive (n bigint PRIMARY KEY, grp integer, doubled bigint, note text)
; INSERT INTO archive SELECT -i, 0, i, 'was here' FROM generate_series(1, 50) AS i
; ANALYZE
; CREATE SCHEMA app
; CREATE TABLE app.before AS SELECT n, to_jsonb(t) AS image FROM t
; CREATE TABLE app.history (
    seq bigserial PRIMARY KEY, writer integer NOT NULL, op bigint NOT NULL, kind text NOT NULL,
    n bigint, image jsonb, at timestamptz NOT NULL DEFAULT clock_timestamp(),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id())
; CREATE UNIQUE INDEX ON app.history (writer, op, n)"""
    return sql


# ---- What the application does: by SQL there, by Python here ----

# Of an update: the SET clause, and the same as a function of the row. $1 is writer · 10^9 + op.
Effect = Callable[[Image, int], dict[str, Any]]
UPDATES: dict[str, tuple[str, Effect]] = {
    "touch": ("updates = updates + 1", lambda row, mark: {"updates": row["updates"] + 1}),
    "raise": ("x = x + 1000", lambda row, mark: {"x": row["x"] + 1000}),
    "price": ("price = price + 7", lambda row, mark: {"price": row["price"] + 7}),
    "status": ("status = 'set by ' || $1::bigint", lambda row, mark: {"status": f"set by {mark}"}),
}


def mark_of(writer: int, op: int) -> int:
    return writer * 1_000_000_000 + op


def inserted(key: Key, n: int, mark: int) -> Image:
    """The row that the application inserts as n."""
    row: Image = {"n": n, "grp": n % 10, "x": mark % 100, "price": n % 50 + 1, "qty": mark % 5 + 1,
                  "status": f"new {mark}", "updates": 0, "filler": "i"}
    for (name, kind), value in zip(key.columns, key.of(n)):
        row[name] = int(value) if kind in ("integer", "bigint") else value
    return row
