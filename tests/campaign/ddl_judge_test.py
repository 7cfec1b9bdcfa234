"""The judge of schema changes is judged: it accepts what is right, and no damage; no database."""
from __future__ import annotations

import copy
import unittest

from ddl_judge import Row, faults_of_catalogue, faults_of_rows, replay

DUMP = """--
-- PostgreSQL database dump
--
\\restrict abc
SET statement_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);

--
-- Name: t; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public.t (
    n integer NOT NULL,
    code text,
    price numeric(12,4) DEFAULT 1 NOT NULL,
    CONSTRAINT t_price_check CHECK ((price >= (0)::numeric))
)
WITH (fillfactor='70');

ALTER TABLE ONLY public.t
    ADD CONSTRAINT t_pkey PRIMARY KEY (n);

CREATE INDEX t_code_idx ON public.t USING btree (code);
\\unrestrict abc
"""


def _row(uid: str, **more: str | None) -> Row:
    return {"uid": uid, "n": "1", "price": "1.5000", "code": "7", **more}


BEFORE = [_row("a", n="1"), _row("b", n="2"), _row("c", n="3")]
HISTORY = [("touch", _row("a", code="8")), ("item", {"uid": "a"}), ("insert", _row("d", n="4")),
           ("item", {"uid": "b"}), ("delete", _row("b", n="2")), ("touch", _row("a", code="9")),
           ("item", {"uid": "a"})]
AFTER = [_row("a", n="1", code="9"), _row("c", n="3", price="1.50"), _row("d", n="4")]


class CatalogueTest(unittest.TestCase):
    def test_accepts_another_order_of_columns_and_of_statements(self):
        other = DUMP.replace("    n integer NOT NULL,\n", "").replace(
            "NOT NULL,\n    CONSTRAINT", "NOT NULL,\n    n integer NOT NULL,\n    CONSTRAINT")
        other = other.replace("restrict abc", "restrict xyz")
        self.assertNotEqual(DUMP, other)
        self.assertEqual(faults_of_catalogue(DUMP, other), [])
        first, _, last = other.rpartition("CREATE INDEX")
        index = "CREATE INDEX" + last.partition(";\n")[0] + ";\n"
        moved = first.replace("CREATE TABLE", index + "\nCREATE TABLE", 1)
        self.assertEqual(faults_of_catalogue(DUMP, moved), [])

    def test_finds_what_is_left_over_and_what_lacks(self):
        more = DUMP + "\nCREATE INDEX left_over ON public.t USING btree (n);\n"
        self.assertEqual(len(faults_of_catalogue(DUMP, more)), 1)
        self.assertEqual(len(faults_of_catalogue(more, DUMP)), 1)
        twice = DUMP + "\nCREATE INDEX t_code_idx ON public.t USING btree (code);\n"
        self.assertEqual(len(faults_of_catalogue(DUMP, twice)), 1)

    def test_finds_any_other_word(self):
        for was, becomes in (("n integer NOT NULL", "n bigint NOT NULL"), ("code text", "kode text"),
                             (" NOT NULL,\n    code", ",\n    code"), ("DEFAULT 1 ", ""),
                             (">= (0)", "> (0)"), ("PRIMARY KEY (n)", "UNIQUE (n)"),
                             ("(code)", "(code) WHERE (n > 1)"), ("'70'", "'80'"),
                             ("::numeric))", "::numeric)) NOT VALID")):
            damaged = DUMP.replace(was, becomes)
            self.assertNotEqual(damaged, DUMP)
            self.assertNotEqual(faults_of_catalogue(DUMP, damaged), [], was)


class RowsTest(unittest.TestCase):
    def test_accepts_what_was_written(self):
        rows, items = replay(BEFORE, HISTORY)
        self.assertEqual(faults_of_rows(rows, AFTER), [])
        self.assertEqual(dict(items), {"a": 2})

    def test_finds_any_damage(self):
        rows, _ = replay(BEFORE, HISTORY)
        for i, row in enumerate(AFTER):
            without = AFTER[:i] + AFTER[i + 1:]
            self.assertEqual(len(faults_of_rows(rows, without)), 1)
            self.assertEqual(len(faults_of_rows(rows, [*AFTER, row])), 1)
            for name in ("n", "price", "code"):
                for value in ("77", None):
                    damaged = copy.deepcopy(AFTER)
                    damaged[i][name] = value
                    self.assertEqual(len(faults_of_rows(rows, damaged)), 1)
        self.assertEqual(len(faults_of_rows(rows, [*AFTER, _row("nobody")])), 1)

    def test_finds_a_line_of_history_that_is_missing_or_in_another_place(self):
        for i, (kind, row) in enumerate(HISTORY):
            rows, items = replay(BEFORE, HISTORY[:i] + HISTORY[i + 1:])
            is_overwritten = kind == "touch" and i == 0
            is_wrong = faults_of_rows(rows, AFTER) != [] or dict(items) != {"a": 2}
            self.assertEqual(is_wrong, not is_overwritten and (kind, row["uid"]) != ("item", "b"))
        rows, _ = replay(BEFORE, reversed(HISTORY))
        self.assertNotEqual(faults_of_rows(rows, AFTER), [])


if __name__ == "__main__":
    unittest.main()
