"""The statements that are drawn: one function for each form, over what the database holds."""
from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Callable

from catalogue import Catalogue, Column, Table
from names import dotted, fit, literal, quoted
from type_changes import conversions

ORDERED = ("N", "S", "D", "B", "E", "T", "I", "U")  # Categories; U holds uuid and more.


@dataclass
class Statement:
    form: str
    sql: str
    tables: list[Table] = field(default_factory=list)  # Whose rows are compared.
    renamed: str = ""  # The new name of the first of them.
    drawn: str = ""  # A column of the first of them in which each database has values of its own.
    option: str = ""  # A line above the statement.
    moves_column: bool = False  # The plan announces that the column is the last one.
    has_way_back: bool = True


Form = Callable[["Draw"], "Statement | None"]
_FORMS: list[tuple[int, Form]] = []


def form(weight: int) -> Callable[[Form], Form]:
    def register(function: Form) -> Form:
        _FORMS.append((weight, function))
        return function
    return register


class Draw:
    """Chance over one catalogue."""

    def __init__(self, rng: random.Random, catalogue: Catalogue, number: int):
        self.rng = rng
        self.catalogue = catalogue
        self.number = number

    def statement(self) -> Statement:
        weights = [weight for weight, _ in _FORMS]
        while True:
            drawn = self.rng.choices(_FORMS, weights)[0][1](self)
            if drawn:
                return drawn

    def table(self, fits: Callable[[Table], bool] = lambda table: True) -> Table | None:
        """Mostly one of the plain ones."""
        tables = [t for t in self.catalogue.tables if t.columns and fits(t)]
        plain = [t for t in tables if t.kind == "r" and not t.is_child and not t.has_children]
        if plain and self.rng.random() < 0.75:
            tables = plain
        return self.rng.choice(tables) if tables else None

    def column(self, fits: Callable[[Table, Column], bool]) -> tuple[Table, Column] | None:
        table = self.table(lambda t: any(fits(t, c) for c in t.columns))
        if not table:
            return None
        return table, self.rng.choice([c for c in table.columns if fits(table, c)])

    def name(self, word: str) -> str:
        """One that nobody has; now and then as long as may be, or in need of quotes."""
        shape = self.rng.random()
        if shape < 0.08:
            return fit(f"{word} Ω {self.number} " + "x" * 63)
        return f"{word} No {self.number}" if shape < 0.2 else f"{word}_{self.number}"


# ---- Indexes ----

def _sortable(column: Column) -> bool:
    return column.category in ORDERED and column.type not in ("json", "bytea", "tsvector", "point")


@form(9)
def create_index(draw: Draw) -> Statement | None:
    rng = draw.rng
    table = draw.table(lambda t: any(_sortable(c) for c in t.columns))
    if not table:
        return None
    columns = [c for c in table.columns if _sortable(c)]
    chosen = rng.sample(columns, min(len(columns), rng.choice((1, 1, 2))))
    body = "(" + ", ".join(c.sql + rng.choice(("", "", " DESC", " NULLS FIRST")) for c in chosen) + ")"
    others = [c for c in table.columns if c.type == "jsonb" or c.category == "A"]
    shape = rng.random()
    if others and shape < 0.2:
        body = f"USING gin ({rng.choice(others).sql})"
    elif shape < 0.3:
        body = f"USING hash ({chosen[0].sql})"
    elif shape < 0.4:
        body = f"((({chosen[0].sql})::text || 'x'))" if chosen[0].category == "S" else f"(({chosen[0].sql} IS NULL))"
    elif shape < 0.5:
        body += f" INCLUDE ({rng.choice([c for c in table.columns if c is not chosen[0]]).sql}) WITH (fillfactor = 80)"
    elif shape < 0.6:
        body = f"USING brin ({chosen[0].sql})" if chosen[0].category in "ND" else body
    if rng.random() < 0.2:
        body += f" WHERE {rng.choice(table.columns).sql} IS NOT NULL"
    words = rng.choice(("CREATE INDEX", "CREATE INDEX", "CREATE INDEX IF NOT EXISTS"))
    return Statement("CREATE INDEX", f"{words} {quoted(draw.name('made'))} ON {table.sql} {body}")


@form(5)
def create_unique_index(draw: Draw) -> Statement | None:
    found = draw.column(lambda t, c: _sortable(c))
    if not found:
        return None
    table, column = found
    columns = [column.sql]
    if table.key and draw.rng.random() < 0.6:
        columns += [quoted(c) for c in table.key.columns if quoted(c) != column.sql]
    end = draw.rng.choice(("", "", f" WHERE {column.sql} IS NOT NULL"))
    return Statement("CREATE UNIQUE INDEX", f"CREATE UNIQUE INDEX {quoted(draw.name('one'))} ON {table.sql} "
                                            f"({', '.join(columns)}){end}")


@form(5)
def drop_index(draw: Draw) -> Statement | None:
    table = draw.table(lambda t: bool(t.indexes))
    if not table:
        return None
    words = draw.rng.choice(("DROP INDEX", "DROP INDEX", "DROP INDEX IF EXISTS"))
    return Statement("DROP INDEX", f"{words} {dotted(table.schema, draw.rng.choice(table.indexes))}")


@form(4)
def reindex(draw: Draw) -> Statement | None:
    table = draw.table(lambda t: bool(t.indexes))
    if not table:
        return None
    what = f"INDEX {dotted(table.schema, draw.rng.choice(table.indexes))}"
    if draw.rng.random() < 0.5:
        what = f"TABLE {table.sql}"
    return Statement("REINDEX", f"REINDEX {what}", has_way_back=False)


# ---- Constraints ----

def _number(column: Column) -> bool:
    return column.category == "N" and column.kind == "b" and not column.generated


@form(7)
def add_check(draw: Draw) -> Statement | None:
    rng = draw.rng
    found = draw.column(lambda t, c: _number(c) or c.category == "S")
    if not found:
        return None
    table, column = found
    if column.category == "N":
        test = rng.choice((f"{column.sql} >= 0", f"{column.sql} > -99999999999", f"{column.sql} < 500"))
    else:
        test = rng.choice((f"length({column.sql}) < 100000", f"{column.sql} <> 'never'", f"length({column.sql}) > 6"))
    name = f"CONSTRAINT {quoted(draw.name('ok'))} " if rng.random() < 0.85 else ""
    tail = rng.choice(("", "", "", " NOT VALID", " NO INHERIT"))
    return Statement("ADD CHECK", f"ALTER TABLE {table.sql} ADD {name}CHECK ({test}){tail}")


@form(8)
def add_foreign_key(draw: Draw) -> Statement | None:
    rng = draw.rng
    keyed = [t for t in draw.catalogue.tables if t.key and len(t.key.columns) == 1 and not t.unlogged]
    if not keyed:
        return None
    other = rng.choice(keyed)
    key = other.column(other.key.columns[0])  # type: ignore[union-attr]
    found = draw.column(lambda t, c: c.type == key.type and not c.generated and not t.unlogged)
    if not found:
        return None
    table, column = found
    if rng.random() < 0.3:  # A second one over the same columns, which holds.
        keys = [(t, k) for t in draw.catalogue.tables for k in t.constraints
                if k.type == "f" and len(k.columns) == 1 and k.validated and not t.is_child]
        if keys:
            table, constraint = rng.choice(keys)
            column = table.column(constraint.columns[0])
            same = [t for t in keyed if t.column(t.key.columns[0]).type == column.type]  # type: ignore[union-attr]
            if not same:
                return None
            other = rng.choice(same)
            key = other.column(other.key.columns[0])  # type: ignore[union-attr]
    name = f"CONSTRAINT {quoted(draw.name('refers'))} " if rng.random() < 0.85 else ""
    tail = rng.choice(("", "", " ON DELETE CASCADE", " ON DELETE SET NULL ON UPDATE CASCADE",
                       " DEFERRABLE INITIALLY DEFERRED", " NOT VALID"))
    columns = rng.choice(("", f" ({key.sql})"))
    return Statement("ADD FOREIGN KEY", f"ALTER TABLE {table.sql} ADD {name}FOREIGN KEY ({column.sql}) REFERENCES "
                                        f"{other.sql}{columns}{tail}", [table])


@form(5)
def add_unique(draw: Draw) -> Statement | None:
    rng = draw.rng
    found = draw.column(lambda t, c: _sortable(c))
    if not found:
        return None
    table, column = found
    columns = [column.sql]
    if table.key and rng.random() < 0.7:
        columns += [quoted(c) for c in table.key.columns if quoted(c) != column.sql]
    name = f"CONSTRAINT {quoted(draw.name('unique'))} " if rng.random() < 0.7 else ""
    tail = rng.choice(("", "", f" INCLUDE ({rng.choice(table.columns).sql})", " DEFERRABLE"))
    return Statement("ADD UNIQUE", f"ALTER TABLE {table.sql} ADD {name}UNIQUE ({', '.join(columns)}){tail}", [table])


@form(4)
def add_primary_key(draw: Draw) -> Statement | None:
    is_second = draw.rng.random() < 0.05
    found = draw.column(lambda t, c: _sortable(c) and (is_second or not t.key))
    if not found:
        return None
    table, column = found
    columns = [column.sql]
    if draw.rng.random() < 0.4:
        columns.append(draw.rng.choice(table.columns).sql)
    name = f"CONSTRAINT {quoted(draw.name('main'))} " if draw.rng.random() < 0.5 else ""
    return Statement("ADD PRIMARY KEY",
                     f"ALTER TABLE {table.sql} ADD {name}PRIMARY KEY ({', '.join(dict.fromkeys(columns))})", [table])


@form(8)
def set_not_null(draw: Draw) -> Statement | None:
    is_again = draw.rng.random() < 0.04
    found = draw.column(lambda t, c: is_again or not c.not_null)
    if not found:
        return None
    table, column = found
    return Statement("SET NOT NULL", f"ALTER TABLE {table.sql} ALTER COLUMN {column.sql} SET NOT NULL", [table])


@form(4)
def validate(draw: Draw) -> Statement | None:
    table = draw.table(lambda t: any(not c.validated for c in t.constraints))
    if not table:
        return None
    constraint = draw.rng.choice([c for c in table.constraints if not c.validated])
    return Statement("VALIDATE", f"ALTER TABLE {table.sql} VALIDATE CONSTRAINT {quoted(constraint.name)}",
                     has_way_back=False)


# ---- Columns ----

_PLAIN = ("integer", "bigint DEFAULT 0", "text DEFAULT 'it''s' NOT NULL", "numeric(8,2) DEFAULT 1.5",
          "kinds.mood DEFAULT 'ok'", "timestamptz", "integer[] DEFAULT '{1,2}'", "kinds.address", "kinds.code",
          "boolean NOT NULL DEFAULT false", "varchar(20) DEFAULT 'x'", "jsonb DEFAULT '{}'", "int4range",
          'text COLLATE "C"', "uuid", "text DEFAULT upper('up')", "date DEFAULT '2024-02-29'", "kinds.span",
          "text COLLATE kinds.folded DEFAULT 'Straße'", "double precision DEFAULT 'NaN'", "text NOT NULL",
          "text DEFAULT 1 + 1", "smallint DEFAULT 70000", "integer DEFAULT NULL", "bytea DEFAULT '\\x00ff'")
_CONSTRAINED = ("integer CHECK ({c} > 0)", "integer DEFAULT 5 NOT NULL CHECK ({c} > 0)", "integer UNIQUE",
                "integer DEFAULT 5 UNIQUE", "text CONSTRAINT {n} CHECK (length({c}) < 9) DEFAULT 'short'",
                "integer CHECK ({c} <> 4) UNIQUE", "integer DEFAULT -5 CHECK ({c} > 0)", "text UNIQUE DEFERRABLE")
_DRAWN = ("serial", "bigserial", "integer GENERATED ALWAYS AS IDENTITY",
          "bigint GENERATED BY DEFAULT AS IDENTITY (START 100 INCREMENT 10)", "serial UNIQUE", "smallserial NOT NULL",
          "uuid DEFAULT gen_random_uuid() NOT NULL", "double precision DEFAULT random()",
          "integer DEFAULT nextval('kinds.shared_numbers')", "integer DEFAULT kinds.drawn() NOT NULL",
          "timestamptz DEFAULT clock_timestamp()", "timestamptz DEFAULT now() NOT NULL",
          "text DEFAULT 'n' || nextval('kinds.shared_numbers') UNIQUE")
_REFUSED = ("numeric GENERATED ALWAYS AS (1 + 1) STORED", "kinds.positive DEFAULT 1", "kinds.email",
            "kinds.felt", "integer PRIMARY KEY")


@form(16)
def add_column(draw: Draw) -> Statement | None:
    rng = draw.rng
    table = draw.table()
    if not table:
        return None
    name = draw.name("more")
    shape = rng.random()
    definitions = _PLAIN if shape < 0.45 else _CONSTRAINED if shape < 0.6 else _DRAWN if shape < 0.92 else _REFUSED
    definition = rng.choice(definitions)
    if shape < 0.6 and rng.random() < 0.12:
        keyed = [t for t in draw.catalogue.tables if t.key and len(t.key.columns) == 1]
        other = rng.choice(keyed)
        key = other.column(other.key.columns[0])  # type: ignore[union-attr]
        definition = f"{key.type} REFERENCES {other.sql}" + rng.choice(("", f" ({key.sql}) ON DELETE SET NULL"))
    if not table.key and rng.random() < 0.4:
        definition = rng.choice(("bigserial PRIMARY KEY", "integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
                                 "uuid PRIMARY KEY DEFAULT gen_random_uuid()"))
        shape = 0.8
    constraint = quoted(draw.name("of_more"))
    is_drawn = 0.6 <= shape < 0.92
    text = definition.replace("{c}", quoted(name)).replace("{n}", constraint)
    kind = "own values" if is_drawn else "one value"
    return Statement(f"ADD COLUMN, {kind}", f"ALTER TABLE {table.sql} ADD COLUMN {quoted(name)} {text}", [table],
                     drawn=name if is_drawn else "")


@form(40)
def change_type(draw: Draw) -> Statement | None:
    rng = draw.rng
    found = draw.column(lambda t, c: bool(conversions(c)))
    if found and rng.random() < 0.3:  # Keys, with what refers to them.
        found = draw.column(lambda t, c: t.key is not None and c.name in t.key.columns
                            and bool(conversions(c))) or found
    if not found:
        return None
    table, column = found
    type_, using, inverse = rng.choice(conversions(column))
    sql = f"ALTER TABLE {table.sql} ALTER COLUMN {column.sql} {rng.choice(('TYPE', 'SET DATA TYPE'))} {type_}"
    if using:
        sql += " USING " + using.replace("{c}", column.sql)
    option = ""
    if inverse:
        option = '-- pawl: inverse="' + f"{column.sql} = {inverse.replace('{c}', column.sql)}".replace('"', '\\"') + '"'
    return Statement("ALTER COLUMN TYPE", sql, [table], option=option, moves_column=True)


@form(9)
def rename_column(draw: Draw) -> Statement | None:
    found = draw.column(lambda t, c: True)
    if not found:
        return None
    table, column = found
    return Statement("RENAME COLUMN", f"ALTER TABLE {table.sql} RENAME COLUMN {column.sql} TO "
                                      f"{quoted(draw.name('named'))}", [table], moves_column=True)


@form(4)
def rename_table(draw: Draw) -> Statement | None:
    table = draw.table()
    if not table:
        return None
    name = draw.name("table")
    return Statement("RENAME TABLE", f"ALTER TABLE {table.sql} RENAME TO {quoted(name)}", [table], renamed=name)


@form(9)
def drop_column(draw: Draw) -> Statement | None:
    found = draw.column(lambda t, c: len(t.columns) > 3)
    if not found:
        return None
    table, column = found
    words = draw.rng.choice(("DROP COLUMN", "DROP COLUMN", "DROP", "DROP COLUMN IF EXISTS"))
    return Statement("DROP COLUMN", f"ALTER TABLE {table.sql} {words} {column.sql}", [table])


@form(4)
def drop_table(draw: Draw) -> Statement | None:
    table = draw.table()
    if not table:
        return None
    return Statement("DROP TABLE", f"DROP TABLE {table.sql}", [table])


# ---- Partitions ----

@form(3)
def detach(draw: Draw) -> Statement | None:
    parts = [t for t in draw.catalogue.tables if t.parent]
    if not parts:
        return None
    table = draw.rng.choice(parts)
    return Statement("DETACH PARTITION", f"ALTER TABLE {table.parent} DETACH PARTITION {table.sql}", [table])


@form(3)
def attach(draw: Draw) -> Statement | None:
    """Mostly one that was detached before."""
    def shape(table: Table) -> list[tuple[str, str]]:
        return [(c.name, c.type) for c in table.columns]
    parents = [t for t in draw.catalogue.tables if t.strategy]
    free = [t for t in draw.catalogue.tables if not t.is_child and not t.strategy]
    pairs = [(parent, table) for parent in parents for table in free if shape(parent) == shape(table)]
    if not pairs:
        return None
    parent, table = draw.rng.choice(pairs)
    bound = {"r": ("FROM (MINVALUE) TO (100)", "FROM (1) TO (100)", "FROM (100) TO (400)", "FROM (400) TO (MAXVALUE)",
                   "FROM (400) TO (900)"),
             "l": ("IN ('north', 'south')", "IN ('east')"),
             "h": tuple(f"WITH (MODULUS 3, REMAINDER {r})" for r in range(3))}[parent.strategy]
    end = f"FOR VALUES {draw.rng.choice(bound)}" if parent.strategy == "h" or draw.rng.random() < 0.8 else "DEFAULT"
    return Statement("ATTACH PARTITION", f"ALTER TABLE {parent.sql} ATTACH PARTITION {table.sql} {end}", [table])


# ---- What is short as it stands ----

@form(5)
def set_default(draw: Draw) -> Statement | None:
    found = draw.column(lambda t, c: c.type in ("integer", "text", "bigint", "boolean") and not c.generated)
    if not found:
        return None
    table, column = found
    value = {"integer": "7", "bigint": "8", "text": "'nine'", "boolean": "true"}[column.type]
    what = draw.rng.choice((f"SET DEFAULT {value}", "DROP DEFAULT"))
    return Statement("SET or DROP DEFAULT", f"ALTER TABLE {table.sql} ALTER COLUMN {column.sql} {what}",
                     has_way_back=False)


@form(3)
def comment(draw: Draw) -> Statement | None:
    found = draw.column(lambda t, c: True)
    if not found:
        return None
    table, column = found
    what = draw.rng.choice((f"TABLE {table.sql}", f"COLUMN {table.sql}.{column.sql}"))
    text = draw.rng.choice(("NULL", literal(f"it's number {draw.number}")))
    return Statement("COMMENT", f"COMMENT ON {what} IS {text}", has_way_back=False)


@form(2)
def create_table(draw: Draw) -> Statement | None:
    name = quoted(draw.name("fresh"))
    return Statement("CREATE TABLE", f"CREATE TABLE shop.{name} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
                                     "feeling kinds.mood NOT NULL DEFAULT 'ok', UNIQUE (id, feeling))")


@form(2)
def add_value(draw: Draw) -> Statement | None:
    type_, labels = draw.rng.choice(sorted(draw.catalogue.labels.items()))
    where = draw.rng.choice(("", f" BEFORE {literal(labels[0])}", f" AFTER {literal(labels[0])}"))
    words = draw.rng.choice(("", "IF NOT EXISTS "))
    return Statement("ADD VALUE", f"ALTER TYPE {type_} ADD VALUE {words}{literal(f'label {draw.number}')}{where}",
                     has_way_back=False)


@form(3)
def several(draw: Draw) -> Statement | None:
    table = draw.table(lambda t: any(not c.not_null for c in t.columns))
    if not table:
        return None
    column = draw.rng.choice([c for c in table.columns if not c.not_null])
    more, ok = quoted(draw.name("many")), quoted(draw.name("many_ok"))
    commands = [f"ADD COLUMN {more} integer DEFAULT 3", f"ALTER COLUMN {column.sql} SET NOT NULL",
                f"ADD CONSTRAINT {ok} CHECK ({column.sql} IS NOT NULL)"]
    chosen = draw.rng.sample(commands, 2)
    return Statement("several in one", f"ALTER TABLE {table.sql} {', '.join(chosen)}", [table])


@form(2)
def others(draw: Draw) -> Statement | None:
    """Of which some are refused, with a reason."""
    found = draw.column(lambda t, c: True)
    if not found:
        return None
    table, column = found
    commands = [f"ALTER COLUMN {column.sql} DROP NOT NULL", f"ALTER COLUMN {column.sql} SET STATISTICS 77",
                "SET (fillfactor = 77)", "ENABLE ROW LEVEL SECURITY", "REPLICA IDENTITY FULL"]
    commands += [f"DROP CONSTRAINT {quoted(c.name)}" for c in table.constraints[:2]]
    return Statement("other ALTER TABLE", f"ALTER TABLE {table.sql} {draw.rng.choice(commands)}", [table],
                     has_way_back=False)
