"""Whether two databases are the same, by pg_dump and by their rows. Knows nothing of the engine but
what its plans announce: a column whose type or name was changed is the last one of its table."""
from __future__ import annotations

import difflib
import re
import subprocess

from names import dotted, quoted
from pg import Connection
from server import BIN

Dump = dict[str, str]  # What pg_dump says of an object, by its name and kind.
_HEADER = re.compile(r"^-- Name: (.*)$", re.MULTILINE)


def dump(url: str) -> Dump:
    """Of everything but the schema pawl. Entries, because their order is that of oids."""
    done = subprocess.run([f"{BIN}/pg_dump", "--schema-only", "--exclude-schema=pawl", url], check=True,
                          capture_output=True, text=True)
    entries: Dump = {}
    headers = list(_HEADER.finditer(done.stdout))
    for header, following in zip(headers, [*headers[1:], None]):
        body = done.stdout[header.end():following.start() if following else len(done.stdout)]
        lines = [line for line in body.splitlines()
                 if line not in ("", "--")
                 and not line.startswith(("SET default_", "-- PostgreSQL database", "\\unrestrict"))]
        key = header[1]
        while key in entries:
            key += " (again)"
        entries[key] = "\n".join(lines)
    return entries


_STATISTICS = re.compile(r"^(CREATE STATISTICS .*? ON )(.*)( FROM )", re.MULTILINE)


def without_order(entries: Dump, tables: set[tuple[str, str]]) -> Dump:
    """The same, with the columns of these tables sorted."""
    sorted_entries = dict(entries)
    for schema, name in tables:
        for key in entries:
            if key.startswith(f"{name}; Type: TABLE; Schema: {schema};"):
                lines = [line.rstrip(",") for line in entries[key].splitlines()]
                sorted_entries[key] = "\n".join(sorted(lines))
    if tables:  # PostgreSQL names those of a statistics object in the order of the table.
        for key in entries:
            if "; Type: STATISTICS;" in key:
                sorted_entries[key] = _STATISTICS.sub(
                    lambda found: found[1] + ", ".join(sorted(found[2].split(", "))) + found[3], entries[key])
    return sorted_entries


def without_new_grants(entries: Dump, expected: Dump) -> Dump:
    """Who may insert may draw from the sequence of a new column: the plan announces it."""
    return {key: text for key, text in entries.items()
            if key in expected or not (key.startswith("SEQUENCE ") and "; Type: ACL;" in key
                                       and all(line.startswith("GRANT USAGE ON SEQUENCE")
                                               for line in text.splitlines()))}


def differences(expected: Dump, found: Dump) -> list[str]:
    """Line by line; empty where they are the same."""
    lines: list[str] = []
    for key in sorted(expected.keys() | found.keys()):
        one, other = expected.get(key), found.get(key)
        if one == other:
            continue
        lines.append(f"@ {key}")
        lines += [line for line in difflib.unified_diff((one or "").splitlines(), (other or "").splitlines(),
                                                        "plain", "pawl", lineterm="", n=1)
                  if not line.startswith(("---", "+++", "@@"))]
    return lines


Rows = dict[str, tuple[str | None, ...]]  # Count and digest, by table.


def rows(session: Connection, tables: list[tuple[str, str]] | None = None, leave_out: str = "") -> Rows:
    """Of these tables, or all; columns by name, rows in no order, `leave_out` aside."""
    columns: dict[tuple[str, str], list[str]] = {}
    for schema, table, column in session.query("""
SELECT n.nspname, c.relname, a.attname
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relkind = 'r' AND n.nspname NOT IN ('information_schema', 'pawl') AND n.nspname NOT LIKE 'pg\\_%'
 ORDER BY a.attname COLLATE "C" """):
        names = columns.setdefault((schema or "", table or ""), [])
        if column and column != leave_out:
            names.append(column)
    found: Rows = {}
    for schema, table in tables if tables is not None else columns:
        if (schema, table) not in columns:
            continue  # A view or partitioned: its rows are elsewhere.
        listed = ", ".join(quoted(column) for column in columns[schema, table])
        found[dotted(schema, table)] = session.query(
            f"SELECT count(*), sum(hashtextextended(ROW({listed})::text, 0)::numeric) "
            f"FROM ONLY {dotted(schema, table)}")[0]
    return found


def drawn(session: Connection, table: tuple[str, str], column: str) -> Rows:
    """Of a column in which each database has values of its own: what must be alike all the same."""
    one = session.query(f"SELECT count({quoted(column)}), count(DISTINCT {quoted(column)}) > 1 "
                        f"FROM ONLY {dotted(*table)}")[0]
    return {f"{dotted(*table)}.{quoted(column)}": one}


def traces(session: Connection) -> list[str]:
    """What may not be there between two statements: of Pawl's names, or half built."""
    return [row[0] or "" for row in session.query("""
SELECT format('%s %s.%s', c.relkind, n.nspname, c.relname) FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname NOT IN ('pawl', 'pg_toast') AND c.relname LIKE '%pawl%'
UNION ALL SELECT format('column %s.%s', attrelid::regclass, attname) FROM pg_attribute
 WHERE attname LIKE '%pawl%' AND NOT attisdropped AND attrelid::regclass::text NOT LIKE 'pawl.%'
UNION ALL SELECT format('constraint %s of %s', conname, conrelid::regclass) FROM pg_constraint
 WHERE conname LIKE '%pawl%' AND connamespace <> 'pawl'::regnamespace
UNION ALL SELECT format('trigger %s of %s', tgname, tgrelid::regclass) FROM pg_trigger
 WHERE NOT tgisinternal AND (tgname LIKE '%pawl%' OR tgfoid IN (
       SELECT oid FROM pg_proc WHERE pronamespace = 'pawl'::regnamespace))
   AND tgrelid::regclass::text NOT LIKE 'pawl.%'
UNION ALL SELECT format('function %s', p.oid::regprocedure) FROM pg_proc AS p
 WHERE (p.pronamespace = 'pawl'::regnamespace OR p.proname LIKE '%pawl%') AND p.prorettype = 'trigger'::regtype
   AND NOT EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgfoid = p.oid)
UNION ALL SELECT format('invalid index %s', indexrelid::regclass) FROM pg_index WHERE NOT indisvalid
   AND indrelid::regclass::text NOT LIKE 'pg_toast.%'
UNION ALL SELECT format('a session that holds a lock on %s', relation::regclass) FROM pg_locks AS l
 WHERE l.relation IS NOT NULL AND l.pid <> pg_backend_pid() AND l.mode = 'AccessExclusiveLock'
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.pid = l.pid AND a.application_name LIKE 'pawl%')
""")]


def sequences(session: Connection) -> dict[str, int]:
    """How far each sequence is. Pawl may have drawn more, never less."""
    return {f"{schema}.{name}": int(last or 0) for schema, name, last in session.query(
        "SELECT schemaname, sequencename, last_value FROM pg_sequences WHERE schemaname <> 'pawl'")}
