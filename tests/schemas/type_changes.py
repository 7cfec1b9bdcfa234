"""Which types a column may be changed to: the type, USING, and how to get back where Pawl must be told."""
from __future__ import annotations

from catalogue import Column

_Change = tuple[str, str, str]


def _to(*types: str) -> list[_Change]:
    return [(type_, "", "") for type_ in types]


_CHANGES: dict[str, list[_Change]] = {
    "smallint": _to("integer", "bigint", "numeric", "text"),
    "integer": _to("bigint", "bigint", "bigint", "smallint", "numeric", "numeric(14,2)", "text", "varchar(12)",
                   "double precision") + [("text", "'#' || {c}", "substr({c}, 2)::integer"),
                                          ("boolean", "{c} <> 0", ""), ("kinds.positive", "", "")],
    "bigint": _to("integer", "integer", "numeric", "text", "numeric(20,0)"),
    "numeric(12,4)": _to("numeric(10,2)", "numeric(20,4)", "numeric", "integer", "double precision", "text"),
    "numeric(10,2)": _to("numeric(12,2)", "numeric(12,4)", "numeric(6,2)", "integer", "real"),
    "numeric": _to("numeric(20,6)", "double precision", "bigint", "text"),
    "double precision": _to("real", "numeric", "integer", "text"),
    "real": _to("double precision", "numeric", "text"),
    "text": _to("varchar(20)", "varchar(500)", "varchar", "char(30)", 'text COLLATE "C"', "text COLLATE kinds.german")
    + [("integer", "{c}::integer", ""), ("kinds.mood", "{c}::kinds.mood", ""), ("bytea", "{c}::bytea", ""),
       ("jsonb", "to_jsonb({c})", "{c} #>> '{}'"), ("kinds.mood", "", ""),
       ("kinds.email", "", ""), ("text", "upper({c})", "")],
    "character varying(40)": _to("varchar(80)", "varchar(10)", "text", "char(40)", "varchar(40)"),
    "character varying(200)": _to("varchar(40)", "varchar(255)", "text"),
    "character varying": _to("text", "varchar(30)"),
    "character varying(30)": _to("text", "varchar(60)"),
    "character(8)": _to("char(10)", "varchar(8)", "text"),
    'kinds.mood': _to("text", "varchar(10)") + [("shop.level", "{c}::text::shop.level", ""), ("text", "{c}::text", "")],
    'kinds."Status Ω"': _to("text"),
    "shop.level": _to("text") + [("integer", "{c}::text::integer", "")],
    "boolean": _to("text") + [("integer", "{c}::integer", ""), ("text", "CASE WHEN {c} THEN 'yes' ELSE 'no' END",
                                                               "{c} = 'yes'")],
    "date": _to("timestamp", "timestamptz", "text"),
    "timestamp without time zone": _to("timestamptz", "timestamp(0)", "date", "text")
    + [("timestamptz", "{c} AT TIME ZONE 'UTC'", ""), ("timestamptz", "{c} AT TIME ZONE 'Europe/Berlin'", "")],
    "timestamp with time zone": _to("timestamp", "timestamptz(0)", "date")
    + [("timestamp", "{c} AT TIME ZONE 'America/New_York'", ""), ("bigint", "extract(epoch from {c})::bigint", "")],
    "timestamp(3) without time zone": _to("timestamp", "timestamp(1)", "timestamptz(3)"),
    "time without time zone": _to("interval", "text"),
    "interval": _to("time", "text", "interval(0)"),
    "uuid": _to("text", "varchar(36)"),
    "jsonb": _to("json", "text"),
    "json": _to("jsonb", "text"),
    "bytea": [("text", "encode({c}, 'hex')", "decode({c}, 'hex')")],
    "integer[]": _to("bigint[]", "text[]", "numeric[]"),
    "text[]": _to("varchar(10)[]"),
    "kinds.mood[]": _to("text[]"),
    "inet": _to("text") + [("cidr", "{c}::cidr", "")],
    "cidr": _to("inet", "text"),
    "bit(8)": [("bit varying(8)", "", ""), ("integer", "{c}::integer", "")],
    "bit varying(16)": _to("bit varying(32)", "bit varying(4)"),
    "kinds.code": _to("text", "varchar(12)"),
    "kinds.positive": _to("integer", "bigint"),
    "kinds.email": _to("text"),
}


def conversions(column: Column) -> list[_Change]:
    return _CHANGES.get(column.type, [])
