"""F16 and the campaign's own test: damage that the proof, and the judge, must notice."""
from __future__ import annotations

import random

from changes import Change
from pg import Connection
from table import Key


def poisons(change: Change, key: Key, admin: Connection,
            rng: random.Random) -> tuple[str, str, str, str]:
    """One damage to a finished run: its name, the SQL that does it and that mends it, and a key
    that the proof must name."""
    if change.kind == "insert":
        n = admin.value("SELECT n FROM archive WHERE n > 0 ORDER BY md5(n::text) LIMIT 1")
        return ("a copied row is changed",
                f"UPDATE archive SET doubled = doubled + 1 WHERE n = {n}",
                f"UPDATE archive SET doubled = doubled - 1 WHERE n = {n}", str(n))
    if change.kind == "delete":
        n = admin.number("SELECT n FROM app.before WHERE (image->>'grp')::int IN (3, 4, 5) "
                         "ORDER BY md5(n::text) LIMIT 1")
        return ("a deleted row is there again",
                f"INSERT INTO t SELECT (jsonb_populate_record(NULL::t, image)).* FROM app.before "
                f"WHERE n = {n}",
                f"DELETE FROM t WHERE n = {n}", key.of(n)[-1])
    column = rng.choice([c for c in change.columns if c in ("x", "total")])
    where = "grp < 3"  # Changed by every migration here.
    n = admin.number(f"SELECT n FROM t WHERE {where} ORDER BY md5(n::text) LIMIT 1")
    if rng.random() < 0.5:
        return (f"one {column} is changed", f"UPDATE t SET {column} = {column} + 1 WHERE n = {n}",
                f"UPDATE t SET {column} = {column} - 1 WHERE n = {n}", key.of(n)[-1])
    other = admin.number(f"SELECT n FROM t WHERE {where} AND {column} <> (SELECT {column} FROM t "
                         f"WHERE n = {n}) ORDER BY md5(n::text) LIMIT 1")
    swap = (f"UPDATE t SET {column} = o.{column} FROM t AS o WHERE (t.n = {n} AND o.n = {other}) "
            f"OR (t.n = {other} AND o.n = {n})")
    return f"two {column} are swapped", swap, swap, key.of(n)[-1]


# Done between the run and the judgement, in no history: each must make the campaign fail.
SABOTAGES = {
    "flip": "UPDATE t SET x = x + 1 WHERE n = (SELECT min(n) FROM t)",
    "other column": "UPDATE t SET zf = zf + 0.5 WHERE n = (SELECT min(n) FROM t WHERE zf IS NOT NULL)",
    "lose": "DELETE FROM t WHERE n = (SELECT max(n) FROM t)",
    "add": "INSERT INTO t SELECT (jsonb_populate_record(NULL::t, image || "
           "'{\"n\": -5, \"a\": -5, \"b\": \"-5\", \"code\": \"-5\", "
           "\"id\": \"00000000-0000-0000-0000-000000000005\"}')).* FROM app.before LIMIT 1",
    "swap": "UPDATE t SET price = o.price, qty = o.qty, x = o.x FROM t AS o, "
            "(SELECT min(n) AS a, max(n) AS b FROM t) AS k "
            "WHERE (t.n = a AND o.n = b) OR (t.n = b AND o.n = a)",
    "forget": "DELETE FROM app.history WHERE seq = (SELECT max(seq) FROM app.history "
              "WHERE writer > 0)",
    "ledger gap": "UPDATE pawl.ledger SET range_hi = '[\"1\"]' WHERE batch_id = (SELECT "
                  "min(batch_id) FROM pawl.ledger WHERE round > 0)",
    "ledger count": "UPDATE pawl.ledger SET rows = rows + 500 WHERE batch_id = (SELECT "
                    "min(batch_id) FROM pawl.ledger WHERE round > 0)",
    "ledger row": "DELETE FROM pawl.ledger WHERE batch_id = (SELECT max(batch_id) FROM "
                  "pawl.ledger WHERE round > 0)",
}

# The same behind a change of the schema.
DDL_SABOTAGES = {
    "ddl flip": "UPDATE {t} SET updates = updates + 1 WHERE n = (SELECT min(n) FROM {t})",
    "ddl lose": "DELETE FROM {t} WHERE n = (SELECT max(n) FROM {t})",
    "ddl add": "INSERT INTO {t} (uid, grp) VALUES ('nobody', 1)",
    "ddl forget": "DELETE FROM app.history WHERE seq = (SELECT max(seq) FROM app.history "
                  "WHERE writer > 0)",
    "ddl index": "CREATE INDEX left_over ON {t} (grp)",
    "ddl invalid index": "UPDATE pg_index SET indisvalid = false WHERE indexrelid = "
                         "'dim_pkey'::regclass",
    "ddl trigger": "CREATE TRIGGER left_over BEFORE UPDATE ON dim FOR EACH ROW EXECUTE FUNCTION "
                   "suppress_redundant_updates_trigger()",
    "ddl check": "ALTER TABLE {t} ADD CONSTRAINT left_over CHECK (grp IS NOT NULL) NOT VALID",
    "ddl column": "ALTER TABLE {t} ADD COLUMN left_over integer",
    "ddl null": "ALTER TABLE {t} ALTER COLUMN grp DROP NOT NULL",
}
