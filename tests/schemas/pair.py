"""Two databases that hold the same: one gets the statement as it is written, the other one by Pawl."""
from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

import compare
from catalogue import Catalogue
from forms import Statement
from names import quoted
from pawl import SANITIZER_EXIT, ask
from pg import Connection, SqlError
from server import Server

PLAIN, LED = "plain", "led"
LIMITS = [word for name in ("latency=off", "commit=off", "disk_free=off", "active=off", "lock_wait=off")
          for word in ("--set", f"limit.{name}")]
_SECONDS_MAX = 120
_READ_BY = re.compile(r"cannot alter type of a column used (by a view or rule|in a policy definition|in a trigger definition)")


@dataclass
class Verdict:
    outcome: str  # equal, taken back, carried, refused, both refuse, different
    why: str = ""  # The refusal's sentence, or what is different.
    lines: list[str] = field(default_factory=list)


class Pair:
    """One chapter's databases. Owned by whoever plays the chapter."""

    def __init__(self, server: Server, binary: str, directory: str):
        self._server = server
        self._binary = binary
        self._directory = directory
        self._played = 0
        with Connection(server.url()) as admin:
            for name in (PLAIN, LED):
                admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
                admin.execute(f"CREATE DATABASE {name} TEMPLATE origin STRATEGY FILE_COPY")
        self._run_pawl("init")
        self.plain = Connection(server.url(PLAIN))
        self._led = Connection(server.url(LED))
        self._moved: set[tuple[str, str]] = set()
        self._plain_before = self._led_before = compare.dump(server.url(PLAIN))

    def close(self) -> None:
        self.plain.close()
        self._led.close()

    def catalogue(self) -> Catalogue:
        return Catalogue(self.plain)

    # ---- One statement ----

    def play(self, statement: Statement, take_back: bool) -> Verdict:
        self._played += 1  # What is completed under a name stays as it is.
        path = os.path.join(self._directory, f"change_{self._played}.sql")
        with open(path, "w") as file:
            file.write((statement.option + "\n" if statement.option else "") + statement.sql + ";\n")
        code, answer = self._run_pawl("run", path, *LIMITS)
        if code in (SANITIZER_EXIT,) or code < 0:
            return Verdict("different", f"pawl crashed ({code})")
        if code != 0:
            return self._not_done(statement, code, answer)
        run = str(answer["run"])
        take_back = take_back and not self._is_left_by_a_revert(statement, run)
        error = self._play_plainly(statement, keep=not take_back)
        if error:
            return self._carried(statement, run, error)
        if take_back:
            return self._taken_back(statement, run)
        if answer.get("keeps_old_shape"):
            code, answer = self._run_pawl("contract", run)
            if code != 0:
                return Verdict("different", f"contract: {_sentence(answer)}")
        return self._compared(statement)

    def _run_pawl(self, *words: str) -> tuple[int, dict]:
        return ask(self._binary, list(words), self._server.url(LED), _SECONDS_MAX)

    def _play_plainly(self, statement: Statement, keep: bool) -> str:
        """What PostgreSQL says against it, or nothing."""
        try:
            self.plain.execute("BEGIN")
            self.plain.execute(statement.sql)
            self.plain.execute("SET CONSTRAINTS ALL IMMEDIATE")
            self.plain.execute("COMMIT" if keep else "ROLLBACK")
        except SqlError as error:
            self.plain.execute("ROLLBACK")
            return str(error)
        return ""

    # ---- Judging ----

    def _not_done(self, statement: Statement, code: int, answer: dict) -> Verdict:
        """The old shape is intact, at once where it was refused, after a revert where it failed."""
        sentence = _sentence(answer)
        error = self._play_plainly(statement, keep=False)
        if code == 1 and answer.get("run"):
            back, said = self._run_pawl("revert", str(answer["run"]))
            if back != 0:
                return Verdict("different", f"cannot be taken back after it failed ({sentence}): {_sentence(said)}")
        elif code not in (1, 2):
            return Verdict("different", f"exit code {code}: {sentence}")
        lines = compare.differences(self._led_before, compare.dump(self._server.url(LED))) + self._traces()
        if lines:
            return Verdict("different", f"the old shape is not intact after: {sentence}", lines)
        if error:
            return Verdict("both refuse", sentence)
        if code == 1:
            return Verdict("different", f"fails, and PostgreSQL does it: {sentence}")
        return Verdict("refused", sentence)

    def _is_left_by_a_revert(self, statement: Statement, run: str) -> bool:
        """A type that the catalogue alone was changed for: the plan says that a revert leaves it."""
        if statement.form != "ALTER COLUMN TYPE":
            return False
        return self._led.number("SELECT count(*) FROM pawl.step WHERE run_id = $1::bigint AND kind = 'cut over'", run) == 0

    def _carried(self, statement: Statement, run: str, error: str) -> Verdict:
        """PostgreSQL would have what reads the column taken away by hand; Pawl takes it along. There is
        nothing to compare with but what was before."""
        if not _READ_BY.search(error):
            return Verdict("different", f"Pawl did what PostgreSQL refuses: {error}")
        if self._is_left_by_a_revert(statement, run):
            return Verdict("carried", error)
        verdict = self._taken_back(statement, run)
        return Verdict("carried", error) if verdict.outcome == "taken back" else verdict

    def _taken_back(self, statement: Statement, run: str) -> Verdict:
        # Without a key, nobody can say whose the values of a column are: it is kept, as the plan says.
        has_key = all(table.key for table in statement.tables)
        force = ["--on-conflict", "force"] if statement.drawn and not has_key else []
        code, answer = self._run_pawl("revert", run, *force)
        if code != 0:
            return Verdict("different", f"revert, exit code {code}: {_sentence(answer)}")
        lines = compare.differences(self._led_before, compare.dump(self._server.url(LED)))
        lines += self._traces() + self._row_differences(statement, as_before=True)
        return Verdict("different", "not as before after the revert", lines) if lines else Verdict("taken back")

    def _compared(self, statement: Statement) -> Verdict:
        if statement.moves_column:
            self._moved |= {(table.schema, table.name) for table in statement.tables}
        plain, led = (compare.dump(self._server.url(name)) for name in (PLAIN, LED))
        expected, found = (compare.without_order(entries, self._moved) for entries in (plain, led))
        if statement.drawn:
            found = compare.without_new_grants(found, expected)
        lines = compare.differences(expected, found)
        lines += self._traces() + self._row_differences(statement)
        if lines:
            return Verdict("different", "the catalogue or the rows differ", lines)
        if statement.renamed:
            table = statement.tables[0]
            if (table.schema, table.name) in self._moved:
                self._moved.add((table.schema, statement.renamed))
        if statement.drawn:
            self._forget(statement)
            plain, led = (compare.dump(self._server.url(name)) for name in (PLAIN, LED))
        self._plain_before, self._led_before = plain, led
        return Verdict("equal")

    def _forget(self, statement: Statement) -> None:
        """A column in which the databases differ by right would have them differ for ever."""
        for session in (self.plain, self._led):
            session.execute(f"ALTER TABLE {statement.tables[0].sql} DROP COLUMN {quoted(statement.drawn)} CASCADE")

    def _traces(self) -> list[str]:
        return [f"left behind: {trace}" for trace in compare.traces(self._led)]

    def _row_differences(self, statement: Statement, as_before: bool = False) -> list[str]:
        names = [(table.schema, table.name) for table in statement.tables]
        if statement.renamed and not as_before:
            names = [(names[0][0], statement.renamed)]
        one, other = (compare.rows(session, names, statement.drawn) for session in (self.plain, self._led))
        if statement.drawn and not as_before and one:
            one |= compare.drawn(self.plain, names[0], statement.drawn)
            other |= compare.drawn(self._led, names[0], statement.drawn)
        return _of_two(one, other)

    def end(self) -> list[str]:
        """What is different after all statements: each row of each table, and the sequences."""
        lines = _of_two(compare.rows(self.plain), compare.rows(self._led))
        plain, led = compare.sequences(self.plain), compare.sequences(self._led)
        lines += [f"sequence {name} is at {led.get(name)}, and {last} plainly"
                  for name, last in plain.items() if led.get(name, -1) < last]
        return lines


def _of_two(plain: compare.Rows, led: compare.Rows) -> list[str]:
    return [f"rows of {name}: {plain.get(name)} plainly, {led.get(name)} by Pawl"
            for name in sorted(plain.keys() | led.keys()) if plain.get(name) != led.get(name)]


def _sentence(answer: dict) -> str:
    for key in ("reason", "message", "error", "stderr"):
        if answer.get(key):
            return str(answer[key]).strip()
    return str(answer)


# Whose names differ where the reason is the same.
_KINDS = tuple((re.compile(pattern), kind) for pattern, kind in (
    (r"^the type of .*? cannot be changed: ", "a type cannot be changed: "),
    (r"^.*? cannot be (renamed with the old name kept|set aside): ", r"cannot be \1: "),
    (r"publication .*? publishes .*?, and", "a publication publishes the table, and"),
    (r"(constraint|check|unique index|index|foreign key|trigger|policy|statistics object|view|materialized view|rule) "
     r".*?(?= (is deferrable|reads it|would find|depends on|of|refers to it|has a|uses an|is invalid))", r"\1 …"),
    (r"(rule|trigger|policy|constraint) … (on|of) .*? depends on", r"\1 … depends on"),
    (r"foreign key … of .*? compares it with a column of type .*?, which cannot be compared with .*?\.",
     "foreign key … compares it with a column of a type that cannot be compared with the new one."),
    (r"foreign key … of .*? refers to it", "foreign key … refers to it"),
    (r"default value for .*? depends on", "the default of another column depends on"),
    (r": \S.*? (has a column of its row type|inherits from|belongs to (?!the primary key)|is partitioned|is a table of a type)", r": … \1"),
    (r"(inherits from|belongs to) (?!the primary key).*?\. Nothing", r"\1 …. Nothing"),
    (r"the modifiers of .*? are", "the modifiers of … are"),
    (r"USING .*", "USING …"),
    (r"^.*? (has a column|has several) ", r"… \1 "),
))


def kind_of(sentence: str) -> str:
    """A sentence without its names, so that those of one kind are counted together."""
    text = re.sub(r"^.*?line \d+: ", "", sentence.replace("\n", " "))
    text = re.sub(r'"([^"]|"")*"|\'[^\']*\'', "…", text)
    for pattern, kind in _KINDS:
        text = pattern.sub(kind, text)
    return text
