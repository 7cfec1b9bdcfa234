"""What columns are made of: types with values of theirs, and the types, domains, collations and
functions that the schema defines itself."""
from __future__ import annotations

from dataclasses import dataclass

PREAMBLE = r"""
CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE SCHEMA kinds;
CREATE SCHEMA shop;
CREATE SCHEMA "Ünï côde";
CREATE SCHEMA "select";
CREATE TYPE kinds.mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE kinds."Status Ω" AS ENUM ('new', 'in work', 'done', 'it''s off');
CREATE TYPE shop.level AS ENUM ('0', '1', '2', '3');
COMMENT ON TYPE kinds.mood IS 'how it feels; "quoted", and a '' too';
CREATE TYPE kinds.address AS (street text, zip varchar(10), house integer);
CREATE TYPE kinds.span AS RANGE (subtype = double precision);
CREATE DOMAIN kinds.positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN kinds.email AS text CONSTRAINT has_at CHECK (VALUE LIKE '%@%');
CREATE DOMAIN kinds.code AS varchar(12);
CREATE DOMAIN kinds.felt AS kinds.mood DEFAULT 'ok';
CREATE COLLATION kinds.folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE COLLATION kinds.german (provider = icu, locale = 'de-DE');
CREATE TYPE kinds.row_of_two AS (id integer, label varchar(30));
CREATE SEQUENCE kinds.shared_numbers START 1000 INCREMENT 5 CACHE 1;
CREATE FUNCTION kinds.slug(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT
  AS $$ SELECT lower(regexp_replace($1, '\s+', '-', 'g')) $$;
CREATE FUNCTION kinds.stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION kinds.no_more() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE FUNCTION kinds.drawn() RETURNS integer LANGUAGE sql VOLATILE AS $$ SELECT 41 + 1 $$;
CREATE CAST (kinds.row_of_two AS text) WITH INOUT;
"""

ROLES = ("app_reader", "app_writer", "Äpp Öwner")


@dataclass(frozen=True)
class Kind:
    name: str  # Also the column's, with a number behind it.
    type: str
    value: str  # An expression over g, the number of the row, from 1 on; never null.
    is_short: bool = True  # Fits into an entry of a B-tree.
    is_ordered: bool = True  # Has a B-tree operator class.


KINDS = tuple(Kind(*row) for row in (
    ("amount", "integer", "(g * 7919) % 1000"),
    ("count", "integer", "g % 100"),
    ("edge", "integer", "CASE g WHEN 1 THEN 2147483647 WHEN 2 THEN -2147483648 ELSE g END"),
    ("tiny", "smallint", "(g % 300)::smallint"),
    ("big", "bigint", "g * 4000000000 % 9000000000"),
    ("bigsmall", "bigint", "g % 2000"),
    ("price", "numeric(12,4)", "round(g / 7.0, 4)"),
    ("cents", "numeric(10,2)", "round(g / 4.0, 2)"),
    ("exact", "numeric", "CASE g WHEN 3 THEN 'NaN' ELSE g * 1.10 END"),
    ("rate", "double precision", "CASE g WHEN 2 THEN '-Infinity' WHEN 3 THEN '-0' ELSE g / 8.0 END"),
    ("ratio", "real", "(g / 16.0)::real"),
    ("note", "text", "CASE g % 9 WHEN 0 THEN '' WHEN 1 THEN 'Ärger mit ß, 日本' ELSE 'note ' || g END"),
    ("essay", "text", "repeat('long text ' || g || ' ', 1 + g % 400)", False),
    ("digits", "text", "(g % 500)::text"),
    ("mood", "text", "(ARRAY['sad','ok','happy'])[g % 3 + 1]"),
    ("name", "varchar(40)", "left('name of ' || g, 40)"),
    ("label", "varchar(200)", "repeat('x', g % 30) || g"),
    ("tag", "varchar", "'tag' || g % 17"),
    ("fixed", "char(8)", "left('f' || g, 8)"),
    ("feeling", "kinds.mood", "(ARRAY['sad','ok','happy'])[g % 3 + 1]::kinds.mood"),
    ("state", 'kinds."Status Ω"', "(ARRAY['new','in work','done','it''s off'])[g % 4 + 1]::kinds.\"Status Ω\""),
    ("level", "shop.level", "(g % 4)::text::shop.level"),
    ("is_on", "boolean", "g % 2 = 0"),
    ("born", "date", "CASE g WHEN 1 THEN 'infinity' ELSE date '2020-01-01' + g % 900 END"),
    ("day", "date", "date '2023-01-01' + g % 700"),
    ("seen", "timestamp", "timestamp '2023-03-26 01:15:00.5' + g * interval '7 minutes'"),
    ("at", "timestamptz", "timestamptz '2023-03-26 01:15:00.5+00' + g * interval '11 minutes'"),
    ("at3", "timestamp(3)", "timestamp '2024-02-29 12:00:00.123' + g * interval '1 hour'"),
    ("opens", "time", "time '06:30' + (g % 600) * interval '1 minute'"),
    ("took", "interval", "g * interval '90 seconds'"),
    ("token", "uuid", "md5('token' || g)::uuid"),
    ("doc", "jsonb", "jsonb_build_object('n', g, 'tags', jsonb_build_array('a', g % 5))"),
    ("raw", "json", "json_build_object('n', g)", True, False),
    ("blob", "bytea", "decode(md5(g::text), 'hex')"),
    ("marks", "integer[]", "ARRAY[g, g % 7, NULL]"),
    ("words", "text[]", "ARRAY['w' || g % 13, 'x']"),
    ("moods", "kinds.mood[]", "ARRAY['sad', 'happy']::kinds.mood[]"),
    ("host", "inet", "('10.0.' || g % 250 || '.1')::inet"),
    ("net", "cidr", "('10.' || g % 250 || '.0.0/16')::cidr"),
    ("between", "int4range", "int4range(g * 10, g * 10 + 5)"),
    ("during", "tstzrange", "tstzrange(timestamptz '2024-01-01 00:00+00' + g * interval '1 hour',"
                            " timestamptz '2024-01-01 00:30+00' + g * interval '1 hour')"),
    ("band", "kinds.span", "kinds.span(g, g + 0.5)"),
    ("home", "kinds.address", "ROW('street ' || g, 'z' || g % 100, g % 40)::kinds.address"),
    ("plus", "kinds.positive", "g"),
    ("mail", "kinds.email", "'user' || g || '@example.org'"),
    ("code", "kinds.code", "'c' || g % 99"),
    ("felt", "kinds.felt", "(ARRAY['sad','ok','happy'])[g % 3 + 1]::kinds.mood"),
    ("bits", "bit(8)", "(g % 256)::bit(8)"),
    ("flags", "varbit(16)", "(g % 256)::bit(8)::varbit"),
    ("search", "tsvector", "to_tsvector('simple', 'word' || g % 50 || ' other')"),
    ("spot", "point", "point(g, -g)", True, False),
))
