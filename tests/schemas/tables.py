"""A table as it is drawn: its columns, how it is keyed, and its rows as one INSERT … SELECT."""
from __future__ import annotations

import random
import re
from dataclasses import dataclass, field, replace

from kinds import KINDS, Kind
from names import Names, dotted, quoted

SCHEMAS = ("public", "shop", "Ünï côde", "select")


@dataclass
class Column:
    name: str
    type: str
    value: str  # Over g; "" where the table draws it by itself.
    kind: Kind | None = None
    rest: str = ""  # DEFAULT …, GENERATED …, COLLATE …, NOT NULL
    nullable: bool = True

    @property
    def sql(self) -> str:
        return f"{quoted(self.name)} {self.type}{self.rest}"


@dataclass
class Table:
    schema: str
    name: str
    rows: int
    columns: list[Column] = field(default_factory=list)
    key: list[Column] = field(default_factory=list)  # Its primary key: over g, unique.
    tail: str = ""  # Behind the columns: INHERITS, PARTITION BY, WITH
    unlogged: bool = False
    parts: list[str] = field(default_factory=list)  # Statements that make its partitions.
    is_partitioned: bool = False
    is_child: bool = False
    inherited: list[Column] = field(default_factory=list)

    @property
    def sql(self) -> str:
        return dotted(self.schema, self.name)

    def of_kind(self, *names: str) -> list[Column]:
        return [column for column in self.columns if column.kind and column.kind.name in names]

    def create(self) -> str:
        lines = [column.sql for column in self.columns]
        if self.key:
            lines.append(f"PRIMARY KEY ({', '.join(quoted(c.name) for c in self.key)})")
        words = "UNLOGGED TABLE" if self.unlogged else "TABLE"
        return f"CREATE {words} {self.sql} (\n  " + ",\n  ".join(lines) + f"\n){self.tail}"

    def fill(self) -> str:
        given = [column for column in self.inherited + self.columns if column.value]
        if not given:
            return ""
        return (f"INSERT INTO {self.sql} ({', '.join(quoted(c.name) for c in given)}) SELECT "
                f"{', '.join(c.value for c in given)} FROM generate_series(1, {self.rows}) AS g")


def at_row(value: str, row: str) -> str:
    """The same expression for another row than g."""
    return re.sub(r"\bg\b", f"({row})", value)


class TableMaker:
    """Draws tables. Owned by one generator."""

    def __init__(self, rng: random.Random, names: Names):
        self._rng = rng
        self._names = names

    def plain(self) -> Table:
        rng = self._rng
        rows = rng.choice((0, 5, 120, 300, 300, 700, 1500))
        table = Table(rng.choice(SCHEMAS[:2] * 3 + SCHEMAS[2:]), self._names.draw(), rows)
        self._add_key(table)
        self._add_columns(table, rng.randrange(4, 13))
        if rng.random() < 0.35:
            self._add_generated(table)
        rng.shuffle(table.columns)
        table.unlogged = rng.random() < 0.04
        if rng.random() < 0.2:
            table.tail = " WITH (" + rng.choice((
                "fillfactor=80", "autovacuum_enabled=false, fillfactor=95",
                "parallel_workers=0", "toast.autovacuum_enabled=false")) + ")"
        return table

    def _add_key(self, table: Table) -> None:
        rng = self._rng
        word = rng.choice(("id", "id", "id", "Id", "key", "nr"))
        shape = rng.choices(
            ("always", "default", "serial", "bigserial", "integer", "bigint", "uuid", "text", "pair", "none"),
            (10, 6, 10, 6, 8, 6, 6, 4, 7, 6))[0]
        if shape in ("always", "default"):
            type_ = rng.choice(("integer", "bigint", "integer"))
            word_of = {"always": "ALWAYS", "default": "BY DEFAULT"}[shape]
            start = rng.choice(("", "", " (START 1 INCREMENT 1 CACHE 1)", " (MAXVALUE 900000)"))
            key = [Column(word, type_, "", rest=f" GENERATED {word_of} AS IDENTITY{start}")]
        elif shape in ("serial", "bigserial"):
            key = [Column(word, shape, "")]
        elif shape in ("integer", "bigint"):
            key = [Column(word, shape, "g")]
        elif shape == "uuid":
            key = [Column(word, "uuid", "md5('key' || g)::uuid", rest=" DEFAULT gen_random_uuid()")]
        elif shape == "text":
            key = [Column(word, rng.choice(("text", "varchar(30)")), "'key ' || g",
                          rest=rng.choice(("", ' COLLATE "C"', " COLLATE kinds.german")))]
        elif shape == "pair":
            key = [Column(word, "integer", "g % 10"), Column(f"{word}_no", "bigint", "g / 10")]
        else:
            key = []
        for column in key:
            column.nullable = False
        table.columns += key
        table.key = key

    def _add_columns(self, table: Table, count: int) -> None:
        rng = self._rng
        taken = {column.name for column in table.columns}
        for kind in rng.choices(KINDS, k=count):
            name = kind.name if rng.random() < 0.8 else Names(rng).draw()
            while name in taken:
                name = f"{kind.name}{rng.randrange(2, 99)}"
            taken.add(name)
            table.columns.append(self._column(name, kind, table))

    def _column(self, name: str, kind: Kind, table: Table) -> Column:
        rng = self._rng
        column = Column(name, kind.type, kind.value, kind)
        shape = rng.random()
        if shape < 0.3:
            column.nullable = False
            column.rest = " NOT NULL"
        elif shape < 0.6:
            column.value = f"CASE WHEN g % 7 <> 3 THEN {kind.value} END"
        # else: no nulls, and free to have some
        if rng.random() < 0.2:
            column.rest += f" DEFAULT {at_row(kind.value, '5')}"
        if kind.type == "text" and rng.random() < 0.15:
            column.rest = f" COLLATE {rng.choice(('kinds.german', 'kinds.folded', chr(34) + 'C' + chr(34)))}" + column.rest
        return column

    def _add_generated(self, table: Table) -> None:
        rng = self._rng
        sources = table.of_kind("amount", "count", "tiny", "note", "name", "cents")
        if not sources:
            return
        source = rng.choice(sources)
        name = quoted(source.name)
        if source.type in ("text", "varchar(40)"):
            made = Column(f"{source.name[:20]} made", "text", "",
                          rest=f" GENERATED ALWAYS AS (upper({name}) || '!') STORED")
        else:
            made = Column(f"{source.name[:20]}_made", "numeric", "",
                          rest=f" GENERATED ALWAYS AS ({name} * 2.5) STORED")
        if made.name not in {c.name for c in table.columns}:
            table.columns.append(made)

    def partitioned(self) -> tuple[Table, int]:
        """And of how many tables it is one."""
        rng = self._rng
        table = Table(rng.choice(SCHEMAS), self._names.draw(), rng.choice((200, 600, 1200)))
        table.is_partitioned = True
        key = Column("id", rng.choice(("integer", "bigint")), "g", nullable=False)
        region = Column("region", "text", "(ARRAY['north','south','east','west','far'])[g % 5 + 1]",
                        rest=" NOT NULL")
        table.columns = [key, region]
        self._add_columns(table, rng.randrange(3, 8))
        shape = rng.choice(("range", "list", "hash", "nested"))
        part = lambda text="": dotted(table.schema, self._names.draw())  # noqa: E731
        under = f" PARTITION OF {table.sql} "
        if shape in ("range", "nested"):
            table.key = [key] if shape == "range" else [key, region]
            table.tail = " PARTITION BY RANGE (id)"
            bounds = ["MINVALUE", "100", "400", "MAXVALUE"] if rng.random() < 0.5 else ["1", "100", "400", "900"]
            for low, high in zip(bounds, bounds[1:]):
                table.parts.append(f"CREATE TABLE {part()}{under}FOR VALUES FROM ({low}) TO ({high})")
            if bounds[0] == "1":
                table.parts.append(f"CREATE TABLE {part()}{under}DEFAULT")
            if shape == "nested":
                last = dotted(table.schema, self._names.draw())
                table.parts[0] = (f"CREATE TABLE {last}{under}FOR VALUES FROM ({bounds[0]}) TO ({bounds[1]}) "
                                  "PARTITION BY LIST (region)")
                table.parts.append(f"CREATE TABLE {part()} PARTITION OF {last} FOR VALUES IN ('north', 'south')")
                table.parts.append(f"CREATE TABLE {part()} PARTITION OF {last} DEFAULT")
        elif shape == "list":
            table.key = [key, region]
            table.tail = " PARTITION BY LIST (region)"
            table.parts += [f"CREATE TABLE {part()}{under}FOR VALUES IN ({values})"
                            for values in ("'north', 'south'", "'east'")]
            table.parts.append(f"CREATE TABLE {part()}{under}DEFAULT")
        else:
            table.key = [key]
            table.tail = " PARTITION BY HASH (id)"
            table.parts += [f"CREATE TABLE {part()}{under}FOR VALUES WITH (MODULUS 3, REMAINDER {r})"
                            for r in range(3)]
        return table, 1 + len(table.parts)

    def family(self) -> list[Table]:
        """A table and those that inherit from it."""
        rng = self._rng
        parent = self.plain()
        parent.unlogged = False
        tables = [parent]
        for _ in range(rng.randrange(1, 4)):
            child = Table(parent.schema, self._names.draw(), rng.choice((50, 200)))
            child.is_child = True
            # An identity and its sequence are not inherited; what is NOT NULL is.
            child.inherited = [replace(c, value=c.value or "g") for c in parent.columns
                               if "ALWAYS AS (" not in c.rest]
            child.tail = f" INHERITS ({parent.sql})"
            taken = {column.name for column in parent.columns}
            while len(child.columns) < 2:
                kind = rng.choice(KINDS)
                if kind.name + "_own" not in taken:
                    taken.add(kind.name + "_own")
                    child.columns.append(self._column(kind.name + "_own", kind, child))
            tables.append(child)
        return tables
