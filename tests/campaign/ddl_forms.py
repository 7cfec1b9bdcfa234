"""The schema changes that are drawn from, and the table that they change.

A form says what the user writes, which is also what the judge runs on a copy; what the table looks
like to both versions of the application where there are two; and which row it cannot bear.
"""
from __future__ import annotations

from dataclasses import dataclass, field

# What the application reads and writes, by the names that its older version has for them. `uid` is
# who a row is: nobody changes it, and no form touches it.
COLUMNS = ("uid", "n", "grp", "x", "code", "mood", "price", "email", "note", "dim_id", "updates")


@dataclass(frozen=True)
class Shape:
    """How one version of the application calls what it uses."""
    table: str = "t"
    names: dict[str, str] = field(default_factory=dict)  # Where they differ from COLUMNS.
    insert_names: dict[str, str] | None = None  # In an INSERT; None: the same.
    set_names: dict[str, str] | None = None  # In an UPDATE's SET; None: the same.

    def name(self, column: str) -> str:
        return self.names.get(column, column)

    def insert_name(self, column: str) -> str:
        names = self.names if self.insert_names is None else self.insert_names
        return names.get(column, column)

    def set_name(self, column: str) -> str:
        names = self.names if self.set_names is None else self.set_names
        return names.get(column, column)


OLD = Shape()


@dataclass(frozen=True)
class Violation:
    """A row that the new shape cannot bear: a value, as SQL, and how it may be refused."""
    column: str
    value: str
    states: tuple[str, ...]


@dataclass(frozen=True)
class Form:
    name: str
    sql: str
    violation: Violation | None = None
    beyond: Violation | None = None  # A row that the old shape cannot bear.
    # After the cut-over: the version before and the one after. None: there is one shape only.
    older: Shape | None = None
    newer: Shape | None = None
    # What the newer version may write from the expand on, when it does not find every row yet: what
    # it reads has the old names. `early_column` is there by then.
    early: Shape | None = None
    early_column: str = ""
    contracts: bool = False  # Something is kept until `pawl contract`.
    backfills: bool = False
    proof: str = ""  # Counts the rows that the statement would not have left so; 0 when it is done.
    key: str = "PRIMARY KEY"
    forces: bool = False  # New rows draw values, which only `--on-conflict force` takes back.
    setup: str = ""

    # As a migration of the campaign (changes.py), for the faults that it has in common.
    kind = "ddl"
    sync = False
    undo = "column"

    def absent_points(self) -> list[str]:
        """Fault points (db/fault.h) that no run of it passes."""
        shapes = [] if self.contracts else ["cut_over"]
        if self.backfills:
            return shapes if self.older else [*shapes, "question"]
        return [*shapes, "question", "spans", "claim", "renew", "release", "span", "batch", "commit",
                "chunk"]


def _retyped(column: str, kind: str, violation: Violation | None, using: str = "",
             **more: object) -> Form:
    return Form(f"{column} to {kind.partition('(')[0]}",
                f"ALTER TABLE t ALTER COLUMN {column} TYPE {kind}{using};", violation,
                older=Shape(names={column: f"{column}_pawl_old"}, insert_names={}), newer=OLD,
                contracts=True, backfills=True, **more)  # type: ignore[arg-type]


def _added(name: str, definition: str, proof: str, **more: object) -> Form:
    return Form(f"add {name}", f"ALTER TABLE t ADD COLUMN {definition};", proof=proof,
                **more)  # type: ignore[arg-type]


_TWICE = Violation("email", "(SELECT email FROM t WHERE email IS NOT NULL ORDER BY n LIMIT 1)",
                   ("23505",))
_NO_VALUE = "SELECT count(*) FROM t WHERE {0} IS NULL"
_ALIKE = "SELECT count(*) - count(DISTINCT {0}) FROM t"
_BEYOND = "(SELECT 5000000000 + count(*) FROM app.history)"
# By its type; while both columns are there, by the gate of the trigger.
_CAST = ("22000", "22P02", "22003")

FORMS = {
    form.name: form for form in (
        Form("index", "CREATE INDEX t_grp_x_idx ON t (grp, x);"),
        Form("unique index", "CREATE UNIQUE INDEX t_email_idx ON t (email);", _TWICE),
        Form("unique", "ALTER TABLE t ADD CONSTRAINT t_email_key UNIQUE (email);", _TWICE),
        Form("primary key", "ALTER TABLE t ADD CONSTRAINT t_pkey PRIMARY KEY (n);",
             Violation("n", "(SELECT max(n) FROM t)", ("23505",)), key="NOT NULL"),
        Form("drop index", "DROP INDEX t_x_idx;"),
        Form("foreign key", "ALTER TABLE t ADD CONSTRAINT t_dim_fkey FOREIGN KEY (dim_id) "
             "REFERENCES dim (id);", Violation("dim_id", "77", ("23503",))),
        Form("check", "ALTER TABLE t ADD CONSTRAINT t_x_check CHECK (x >= 0);",
             Violation("x", "-5", ("23514",))),
        Form("not null", "ALTER TABLE t ALTER COLUMN note SET NOT NULL;",
             Violation("note", "NULL", ("23502", "23514")), proof=_NO_VALUE.format("note")),
        _added("uuid", "token uuid NOT NULL DEFAULT gen_random_uuid()",
               _ALIKE.format("token"), backfills=True, forces=True),
        _added("serial", "number bigserial", _ALIKE.format("number"), backfills=True, forces=True),
        _added("unique serial", "number serial UNIQUE", _ALIKE.format("number"), backfills=True,
               forces=True),
        _added("identity", "number bigint GENERATED ALWAYS AS IDENTITY", _ALIKE.format("number"),
               backfills=True, forces=True),
        _added("value", "flag integer NOT NULL DEFAULT 7",
               "SELECT count(*) FROM t WHERE flag <> 7"),
        _retyped("n", "bigint", None, beyond=Violation("n", _BEYOND, ("22000", "22003"))),
        _retyped("code", "integer", Violation("code", "'abc'", _CAST), " USING code::integer"),
        _retyped("mood", "feeling", Violation("mood", "'angry'", _CAST), " USING mood::feeling"),
        _retyped("price", "numeric(6,2)", Violation("price", "50000.5", _CAST)),
        Form("rename column", "ALTER TABLE t RENAME COLUMN email TO mail;", older=OLD,
             newer=Shape(names={"email": "mail"}), contracts=True, backfills=True,
             early=Shape(insert_names={"email": "mail"}, set_names={"email": "mail"}),
             early_column="mail"),
        Form("rename table", "ALTER TABLE t RENAME TO renamed;", older=OLD,
             newer=Shape(table="renamed"), contracts=True),
        Form("drop column", "ALTER TABLE t DROP COLUMN spare;", contracts=True),
        Form("drop column not null", "ALTER TABLE t DROP COLUMN spare;", contracts=True,
             setup="ALTER TABLE t ALTER spare SET NOT NULL"),
        Form("drop table", "DROP TABLE old_stuff;", contracts=True),
    )
}

# What may hang on the columns besides; each is there or not.
EXTRAS = (
    "CREATE INDEX t_code_idx ON t (code, grp)",
    "CREATE INDEX t_mood_idx ON t (mood) WHERE grp > 4",
    "ALTER TABLE t ADD CONSTRAINT t_price_check CHECK (price >= 0)",
    "CREATE UNIQUE INDEX t_email_uid_idx ON t (email, uid)",
    "COMMENT ON COLUMN t.code IS 'digits'",
    "CREATE INDEX t_n_grp_idx ON t (n DESC, grp)",
)


def create_sql(form: Form, rows: int, fillfactor: int, extras: tuple[str, ...]) -> str:
    """The tables, their rows, and what the judge needs of the time before."""
    items = "" if form.key != "PRIMARY KEY" else """
; CREATE TABLE item (id bigserial PRIMARY KEY, qty integer NOT NULL,
    t_n integer NOT NULL REFERENCES t ON DELETE CASCADE)
; CREATE INDEX item_t_n_idx ON item (t_n)"""
    more = "".join(f"; {sql}" for sql in (*extras, form.setup) if sql)
    return f"""
CREATE TYPE feeling AS ENUM ('sad', 'ok', 'happy')
; CREATE TABLE dim (id integer PRIMARY KEY, label text)
; INSERT INTO dim SELECT i, 'label ' || i FROM generate_series(0, 9) AS i
; CREATE TABLE t (
    n integer GENERATED BY DEFAULT AS IDENTITY (START 100000) {form.key}, uid text NOT NULL,
    grp integer NOT NULL, x integer NOT NULL DEFAULT 0, code text, mood text,
    price numeric(12,4) NOT NULL DEFAULT 1, email text, note text, dim_id integer,
    updates integer NOT NULL DEFAULT 0, spare text DEFAULT 'spare', filler text)
  WITH (fillfactor = {fillfactor})
; INSERT INTO t (n, uid, grp, x, code, mood, price, email, note, dim_id, filler)
  SELECT i, 'seed ' || i, i % 10, i % 100, CASE WHEN i % 11 > 0 THEN (i % 500)::text END,
         (ARRAY['sad', 'ok', 'happy'])[i % 3 + 1], i % 90 * 1.25, 'u' || i || '@x',
         'note ' || i, i % 10, repeat('x', i % 60)
    FROM generate_series(1, {rows}) AS i
; CREATE INDEX t_x_idx ON t (x)
; CREATE TABLE old_stuff (id integer PRIMARY KEY, what text)
; INSERT INTO old_stuff SELECT i, 'thing ' || i FROM generate_series(1, 100) AS i{items}{more}
; ANALYZE
; CREATE SCHEMA app
; CREATE TABLE app.history (
    seq bigserial PRIMARY KEY, writer integer NOT NULL, op bigint NOT NULL, kind text NOT NULL,
    image jsonb, at timestamptz NOT NULL DEFAULT clock_timestamp())
; CREATE TABLE app.before AS SELECT {image_sql(OLD, "t")} AS image FROM t"""


def image_sql(shape: Shape, row: str) -> str:
    """A row as the application sees it: every value as text, by the older version's names."""
    return "jsonb_build_object(" + ", ".join(
        f"'{column}', {row}.{shape.name(column)}::text" for column in COLUMNS) + ")"
