"""A schema of some hundred tables, drawn from a seed: with what real ones have grown over years."""
from __future__ import annotations

import random

from kinds import PREAMBLE, ROLES
from names import Names, dotted, fit, literal, quoted
from tables import Column, Table, TableMaker, at_row

_EXPRESSIONS = {"note": "lower({})", "name": "kinds.slug({})", "label": "length({})", "digits": "({} || '-')",
                "amount": "({} % 10)", "doc": "({} ->> 'n')", "price": "round({})", "at3": "date_trunc('day', {})"}
_GIN = ("doc", "marks", "words", "search")
_GIST = ("between", "during", "spot", "band")
_HASHED = ("token", "amount", "note", "mood")


class Generator:
    """Statements, in their order. `Generator(seed, count).statements()` is all there is to it."""

    def __init__(self, seed: int, count: int):
        self._rng = random.Random(f"schema {seed}")
        self._names = Names(self._rng)
        self._count = count
        self._tables: list[Table] = []
        self._pending: list[tuple[Table, list[Column], Table]] = []  # Columns and what they refer to.
        self._sql: list[str] = []

    def statements(self) -> list[str]:
        self._sql = _split(PREAMBLE)
        for role in ROLES:
            for schema in ("public", "shop", "kinds", '"Ünï côde"', '"select"'):
                self._sql.append(f"GRANT USAGE ON SCHEMA {schema} TO {quoted(role)}")
        self._make_tables()
        for table in self._tables:
            if table.fill():
                self._sql.append(table.fill())
        for table in self._tables:
            self._decorate(table)
        self._add_foreign_keys()
        self._add_views()
        self._add_row_types()
        self._add_publications()
        return self._sql

    # ---- Tables ----

    def _make_tables(self) -> None:
        rng, maker = self._rng, TableMaker(self._rng, self._names)
        made = 0
        while made < self._count:
            shape = rng.random()
            if shape < 0.05:
                table, members = maker.partitioned()
                self._keep(table)
                self._sql += table.parts
                made += members
            elif shape < 0.09:
                family = maker.family()
                for table in family:
                    self._keep(table)
                made += len(family)
            else:
                table = maker.plain()
                self._add_references(table)
                self._keep(table)
                made += 1

    def _keep(self, table: Table) -> None:
        self._tables.append(table)
        self._sql.append(table.create())

    def _add_references(self, table: Table) -> None:
        """Columns that will refer to other tables, or to this one."""
        rng = self._rng
        for _ in range(rng.choice((0, 1, 1, 2))):
            candidates = [t for t in self._tables if t.key and t.rows and not t.is_child and not t.unlogged]
            if table.key and table.rows and not table.unlogged and rng.random() < 0.15:
                candidates = [table]
            if not candidates:
                return
            other = rng.choice(candidates)
            word = fit(f"{other.name}_id", 40)
            if any(c.name.startswith(word) for c in table.columns):
                continue
            pair = []
            for i, key in enumerate(other.key):
                type_ = {"serial": "integer", "bigserial": "bigint"}.get(key.type, key.type)
                value = at_row(key.value or "g", f"(g * 31) % {other.rows} + 1")
                if rng.random() < 0.5:
                    value = f"CASE WHEN g % 5 <> 2 THEN {value} END"
                collation = key.rest if "COLLATE" in key.rest else ""
                pair.append(Column(word + ("" if i == 0 else f"_{i}"), type_, value, rest=collation))
            table.columns += pair
            self._pending.append((table, pair, other))

    def _add_foreign_keys(self) -> None:
        rng = self._rng
        for table, pair, other in self._pending:
            if len(pair) > 1 and any("CASE" in c.value for c in pair):
                match = ""  # MATCH FULL would refuse a half.
            else:
                match = rng.choice(("", "", "", " MATCH FULL"))
            name = f"CONSTRAINT {quoted(self._names.draw())} " if rng.random() < 0.8 else ""
            self._sql.append(
                f"ALTER TABLE {table.sql} ADD {name}FOREIGN KEY ({_list(pair)}) REFERENCES "
                f"{other.sql} ({_list(other.key)}){match}"
                + rng.choice(("", "", "", " ON DELETE CASCADE", " ON DELETE SET NULL", " ON UPDATE CASCADE",
                              " ON DELETE RESTRICT"))
                + rng.choice(("", "", "", "", " DEFERRABLE", " DEFERRABLE INITIALLY DEFERRED"))
                + (" NOT VALID" if rng.random() < 0.06 and not other.is_partitioned else ""))
        self._add_cycles()

    def _add_cycles(self) -> None:
        """A column of an older table that refers to a younger one, which refers to it."""
        rng = self._rng
        for table, pair, other in rng.sample(self._pending, min(8, len(self._pending))):
            if not table.key or not table.rows or other is table or len(table.key) > 1 or table.unlogged \
                    or other.is_partitioned:
                continue
            key = table.key[0]
            type_ = {"serial": "integer", "bigserial": "bigint"}.get(key.type, key.type)
            name = quoted(fit(f"back to {table.name}", 50))
            self._sql += [f"ALTER TABLE {other.sql} ADD COLUMN {name} {type_}"
                          + (key.rest if "COLLATE" in key.rest else ""),
                          f"ALTER TABLE {other.sql} ADD FOREIGN KEY ({name}) REFERENCES {table.sql} DEFERRABLE"]

    # ---- What hangs on a table ----

    def _decorate(self, table: Table) -> None:
        rng = self._rng
        for _ in range(rng.choice((0, 1, 2, 3))):
            self._add_index(table)
        for part, chance in ((self._add_check, 0.35), (self._add_unique, 0.3), (self._add_exclusion, 0.3),
                             (self._add_comments, 0.35), (self._add_settings, 0.35), (self._add_grants, 0.4),
                             (self._add_policies, 0.15), (self._add_triggers, 0.2), (self._add_statistics, 0.15),
                             (self._add_replica_identity, 0.12)):
            if rng.random() < chance:
                part(table)

    def _add_index(self, table: Table) -> None:
        rng = self._rng
        column = rng.choice(table.columns)
        name, kind = quoted(column.name), column.kind.name if column.kind else ""
        if kind in _GIN:
            body = f"USING gin ({name})"
        elif kind in _GIST:
            body = f"USING gist ({name})"
        elif kind in _EXPRESSIONS and rng.random() < 0.4:
            body = f"({_EXPRESSIONS[kind].format(name)})"
        elif kind in _HASHED and rng.random() < 0.3:
            body = f"USING hash ({name})"
        elif column.kind and (not column.kind.is_ordered or not column.kind.is_short):
            return
        else:
            more = [c for c in table.columns if c.kind and c.kind.is_short and c.kind.is_ordered and c is not column]
            body = f"({name}{rng.choice(('', '', ' DESC', ' DESC NULLS LAST'))}"
            if more and rng.random() < 0.4:
                body += f", {quoted(rng.choice(more).name)}"
            body += ")"
            if more and rng.random() < 0.15:
                body += f" INCLUDE ({quoted(rng.choice(more).name)})"
            body += rng.choice(("", "", "", " WITH (fillfactor=70)"))
        if rng.random() < 0.2:
            body += f" WHERE {quoted(rng.choice(table.columns).name)} IS NOT NULL"
        index = self._names.draw()
        self._sql.append(f"CREATE INDEX {quoted(index)} ON {table.sql} {body}")
        if rng.random() < 0.15:
            self._sql.append(f"COMMENT ON INDEX {dotted(table.schema, index)} IS 'why it is there'")
        if rng.random() < 0.05 and "gin" not in body and "hash" not in body and "WHERE" not in body \
                and not table.is_partitioned:
            self._sql.append(f"ALTER TABLE {table.sql} CLUSTER ON {quoted(index)}")

    def _add_check(self, table: Table) -> None:
        numbers = table.of_kind("amount", "count", "tiny", "price", "cents", "bigsmall")
        texts = table.of_kind("note", "name", "mood", "digits", "label")
        if not numbers and not texts:
            return
        rng, name = self._rng, quoted(self._names.draw())
        if numbers and (not texts or rng.random() < 0.6):
            test = f"{quoted(rng.choice(numbers).name)} >= 0"
            if len(numbers) > 1:
                test += f" AND {quoted(numbers[0].name)} + {quoted(numbers[1].name)} < 100000000"
        else:
            test = f"length({quoted(rng.choice(texts).name)}) < 500"
        self._sql.append(f"ALTER TABLE {table.sql} ADD CONSTRAINT {name} CHECK ({test})"
                         + rng.choice(("", "", "", "", " NOT VALID")))
        if rng.random() < 0.2:
            self._sql.append(f"COMMENT ON CONSTRAINT {name} ON {table.sql} IS 'a rule of the house'")

    def _add_unique(self, table: Table) -> None:
        if not table.key or table.is_partitioned or table.is_child:
            return
        rng = self._rng
        more = [c for c in table.columns if c.kind and c.kind.is_short and c.kind.is_ordered]
        columns = table.key + ([rng.choice(more)] if more else [])
        deferral = rng.choice(("", "", "", " DEFERRABLE INITIALLY DEFERRED"))
        tokens = [c for c in table.of_kind("token", "plus", "mail") if c.value == (c.kind and c.kind.value)]
        if tokens and rng.random() < 0.6:
            columns = [tokens[0]]
        self._sql.append(f"ALTER TABLE {table.sql} ADD CONSTRAINT {quoted(self._names.draw())} "
                         f"UNIQUE ({_list(columns)}){deferral}")

    def _add_exclusion(self, table: Table) -> None:
        columns = [c for c in table.of_kind("between", "during") if "DEFAULT" not in c.rest]
        if columns and not table.is_partitioned:
            self._sql.append(f"ALTER TABLE {table.sql} ADD CONSTRAINT {quoted(self._names.draw())} EXCLUDE "
                             f"USING gist ({quoted(columns[0].name)} WITH &&)")

    def _add_comments(self, table: Table) -> None:
        self._sql.append(f"COMMENT ON TABLE {table.sql} IS {literal(chr(39) + table.name + chr(10) + 'ü')}")
        for column in self._rng.sample(table.columns, min(3, len(table.columns))):
            self._sql.append(f"COMMENT ON COLUMN {table.sql}.{quoted(column.name)} IS "
                             f"{literal('what ' + column.name + ' means')}")

    def _add_settings(self, table: Table) -> None:
        rng = self._rng
        for column in rng.sample(table.columns, min(2, len(table.columns))):
            name = quoted(column.name)
            choices = [f"ALTER COLUMN {name} SET STATISTICS {rng.choice((0, 50, 500))}"]
            if not table.is_partitioned:
                choices.append(f"ALTER COLUMN {name} SET (n_distinct = {rng.choice((-0.5, 40))})")
            if column.type in ("text", "jsonb", "bytea", "varchar(200)", "integer[]"):
                choices += [f"ALTER COLUMN {name} SET STORAGE {rng.choice(('EXTERNAL', 'MAIN', 'PLAIN'))}",
                            f"ALTER COLUMN {name} SET COMPRESSION pglz"]
            self._sql.append(f"ALTER TABLE {table.sql} {rng.choice(choices)}")

    def _add_grants(self, table: Table) -> None:
        rng = self._rng
        for role in rng.sample(ROLES, 2):
            what = rng.choice(("SELECT", "SELECT, INSERT, UPDATE", "ALL", "INSERT, DELETE"))
            if rng.random() < 0.4:
                columns = _list(rng.sample(table.columns, min(2, len(table.columns))))
                what = rng.choice((f"SELECT ({columns})", f"UPDATE ({columns}), INSERT ({columns})",
                                   f"SELECT ({columns}), REFERENCES ({columns})"))
            self._sql.append(f"GRANT {what} ON {table.sql} TO {quoted(role)}"
                             + rng.choice(("", "", "", " WITH GRANT OPTION")))
        if rng.random() < 0.1:
            self._sql.append(f"GRANT SELECT ON {table.sql} TO PUBLIC")
        if rng.random() < 0.1 and not table.is_child:
            self._sql.append(f"ALTER TABLE {table.sql} OWNER TO {quoted(ROLES[2])}")

    def _add_policies(self, table: Table) -> None:
        rng = self._rng
        self._sql.append(f"ALTER TABLE {table.sql} ENABLE ROW LEVEL SECURITY")
        if rng.random() < 0.3:
            self._sql.append(f"ALTER TABLE {table.sql} FORCE ROW LEVEL SECURITY")
        column = quoted(rng.choice(table.columns).name)
        self._sql.append(f"CREATE POLICY {quoted(self._names.draw())} ON {table.sql} "
                         f"{rng.choice(('', 'AS RESTRICTIVE '))}FOR SELECT TO {quoted(rng.choice(ROLES))} "
                         f"USING ({rng.choice((f'{column} IS NOT NULL', 'true'))})")
        self._sql.append(f"CREATE POLICY {quoted(self._names.draw())} ON {table.sql} FOR INSERT "
                         "WITH CHECK (current_user <> 'nobody')")

    def _add_triggers(self, table: Table) -> None:
        rng = self._rng
        name = quoted(self._names.draw())
        column = quoted(rng.choice(table.columns).name)
        when = rng.choice(("BEFORE UPDATE", "BEFORE INSERT OR UPDATE", f"BEFORE UPDATE OF {column}"))
        self._sql.append(f"CREATE TRIGGER {name} {when} ON {table.sql} FOR EACH ROW EXECUTE FUNCTION kinds.stamp()")
        if rng.random() < 0.3:
            self._sql.append(f"ALTER TABLE {table.sql} {rng.choice(('DISABLE', 'ENABLE ALWAYS'))} TRIGGER {name}")
        if rng.random() < 0.2:
            self._sql.append(f"CREATE TRIGGER {quoted(self._names.draw())} AFTER DELETE ON {table.sql} "
                             "FOR EACH STATEMENT EXECUTE FUNCTION kinds.no_more()")

    def _add_statistics(self, table: Table) -> None:
        columns = [c for c in table.columns if c.kind and c.kind.is_ordered and not c.rest.startswith(" GENERATED")]
        if len(columns) >= 2:
            name = dotted(table.schema, self._names.draw())
            self._sql.append(f"CREATE STATISTICS {name} (ndistinct, dependencies) ON "
                             f"{_list(self._rng.sample(columns, 2))} FROM {table.sql}")

    def _add_replica_identity(self, table: Table) -> None:
        if not table.is_partitioned:
            self._sql.append(f"ALTER TABLE {table.sql} REPLICA IDENTITY {self._rng.choice(('FULL', 'NOTHING'))}")

    # ---- Over several tables ----

    def _add_views(self) -> None:
        rng = self._rng
        views: list[tuple[str, str]] = []
        for table in rng.sample(self._tables, len(self._tables) // 7):
            view = dotted(rng.choice(("public", "shop", "select")), self._names.draw("view"))
            columns = rng.sample(table.columns, min(3, len(table.columns)))
            shape = rng.random()
            first = quoted(columns[0].name)
            body = f"SELECT {_list(columns)} FROM {table.sql}"
            if shape < 0.3:
                body += f" WHERE {first} IS NOT NULL"
            elif shape < 0.4:
                body = f"SELECT count(*) AS n, count({first}) AS given FROM {table.sql}"
                first = "n"
            materialized = rng.random() < 0.25
            self._sql.append(f"CREATE {'MATERIALIZED ' if materialized else ''}VIEW {view} AS {body}")
            if materialized and columns[0].kind and columns[0].kind.is_ordered and columns[0].kind.is_short:
                self._sql.append(f"CREATE INDEX {quoted(self._names.draw())} ON {view} ({first})")
            if rng.random() < 0.3:
                self._sql.append(f"COMMENT ON {'MATERIALIZED ' if materialized else ''}VIEW {view} IS 'for reports'")
                self._sql.append(f"GRANT SELECT ON {view} TO app_reader")
            if not materialized and shape > 0.4 and rng.random() < 0.2:
                self._sql.append(f"CREATE RULE {quoted(self._names.draw())} AS ON DELETE TO {view} DO INSTEAD NOTHING")
            views.append((view, first))
        for view, first in rng.sample(views, len(views) // 3):
            over = dotted("public", self._names.draw("over"))
            self._sql.append(f"CREATE VIEW {over} WITH (security_barrier) AS SELECT v.{first} FROM {view} AS v")

    def _add_row_types(self) -> None:
        """A table of a type, and a column of the row type of a table."""
        table = self._rng.choice([t for t in self._tables if not t.is_partitioned])
        holder = dotted("public", self._names.draw("holder"))
        typed = dotted("public", self._names.draw("typed"))
        self._sql += [f"CREATE TABLE {holder} (id serial PRIMARY KEY, whole {table.sql})",
                      f"CREATE TABLE {typed} OF kinds.row_of_two (PRIMARY KEY (id))",
                      f"INSERT INTO {typed} SELECT g, 'label ' || g FROM generate_series(1, 50) AS g"]

    def _add_publications(self) -> None:
        rng = self._rng
        tables = [t for t in self._tables if not t.is_partitioned and not t.unlogged]
        chosen = rng.sample(tables, min(6, len(tables)))
        self._sql += ["CREATE PUBLICATION everything_small FOR TABLE " + ", ".join(t.sql for t in chosen[:4]),
                      f"CREATE PUBLICATION \"odd One\" FOR TABLE ONLY {chosen[-1].sql} WITH (publish = 'insert')"]


def _list(columns: list[Column]) -> str:
    return ", ".join(quoted(column.name) for column in columns)


def _split(script: str) -> list[str]:
    """Statements of the preamble: none has a semicolon at the end of a line but its own."""
    return [text for text in (part.strip() for part in script.split(";\n")) if text]
