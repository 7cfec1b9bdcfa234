"""What a database holds at one moment, as the drawing of statements needs it."""
from __future__ import annotations

from dataclasses import dataclass, field

from names import dotted, quoted
from pg import Connection


@dataclass
class Column:
    name: str
    type: str  # As format_type() writes it.
    not_null: bool
    default: str | None
    generated: bool
    identity: str
    kind: str  # pg_type.typtype: b, e, d, c, r
    category: str
    inherited: bool

    @property
    def sql(self) -> str:
        return quoted(self.name)


@dataclass
class Constraint:
    name: str
    type: str
    columns: list[str]
    validated: bool
    inherited: bool


@dataclass
class Table:
    oid: str
    schema: str
    name: str
    kind: str  # r or p
    is_child: bool  # A partition, or one that inherits.
    has_children: bool
    unlogged: bool
    parent: str | None = None  # Of which it is a partition, as SQL.
    strategy: str = ""  # Of a partitioned one: r, l, h
    columns: list[Column] = field(default_factory=list)
    indexes: list[str] = field(default_factory=list)  # Those of no constraint.
    constraints: list[Constraint] = field(default_factory=list)

    @property
    def sql(self) -> str:
        return dotted(self.schema, self.name)

    def column(self, name: str) -> Column:
        return next(c for c in self.columns if c.name == name)

    @property
    def key(self) -> Constraint | None:
        return next((c for c in self.constraints if c.type == "p"), None)


_WHOSE = """n.nspname NOT IN ('pg_catalog', 'information_schema', 'pawl', 'pg_toast')
       AND n.nspname NOT LIKE 'pg\\_%'"""


class Catalogue:
    """Read in one go. Tables are in the order of their names, whatever their oids."""

    def __init__(self, session: Connection):
        self.tables: list[Table] = []
        self.labels: dict[str, list[str]] = {}  # Of enums.
        by_oid: dict[str, Table] = {}
        for oid, schema, name, kind, child, children, persistence, parent, strategy in session.query(f"""
SELECT c.oid, n.nspname, c.relname, c.relkind,
       EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid),
       EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid), c.relpersistence,
       (SELECT i.inhparent::regclass::text FROM pg_inherits AS i WHERE i.inhrelid = c.oid AND c.relispartition),
       (SELECT p.partstrat FROM pg_partitioned_table AS p WHERE p.partrelid = c.oid)
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND {_WHOSE} ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C" """):
            table = Table(oid, schema, name, kind, child == "t", children == "t", persistence == "u", parent,
                          strategy or "")
            by_oid[oid] = table
            self.tables.append(table)
        for row in session.query("""
SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid),
       a.attgenerated <> '', a.attidentity, t.typtype, t.typcategory, a.attinhcount > 0
  FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attname COLLATE "C" """):
            if row[0] in by_oid:
                by_oid[row[0]].columns.append(Column(
                    row[1], row[2], row[3] == "t", row[4], row[5] == "t", row[6], row[7], row[8], row[9] == "t"))
        for oid, name in session.query("""
SELECT i.indrelid, c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
 WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = c.oid AND contype IN ('p', 'u', 'x'))
   AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid)
 ORDER BY c.relname COLLATE "C" """):
            if oid in by_oid:
                by_oid[oid].indexes.append(name)
        for oid, name, type_, columns, valid, inherited in session.query("""
SELECT k.conrelid, k.conname, k.contype, array_to_string(ARRAY(
         SELECT a.attname FROM unnest(k.conkey) AS u(n) JOIN pg_attribute AS a
             ON a.attrelid = k.conrelid AND a.attnum = u.n), chr(1)), k.convalidated,
       k.coninhcount > 0 OR k.conparentid <> 0
  FROM pg_constraint AS k WHERE k.conrelid <> 0 AND k.contype IN ('c', 'f', 'p', 'u', 'x')
 ORDER BY k.conname COLLATE "C", k.conrelid"""):
            if oid in by_oid:
                by_oid[oid].constraints.append(Constraint(
                    name, type_, columns.split("\x01") if columns else [], valid == "t", inherited == "t"))
        for name, label in session.query("""
SELECT e.enumtypid::regtype, e.enumlabel FROM pg_enum AS e ORDER BY e.enumtypid::regtype::text, e.enumsortorder"""):
            self.labels.setdefault(name, []).append(label)
