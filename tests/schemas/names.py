"""Names as people give them: plain, quoted, of other scripts, key words, as long as they may be."""
from __future__ import annotations

import random
import re

_WORDS = ("order", "line", "item", "client", "branch", "route", "parcel", "price", "stock", "shift", "ticket",
          "badge", "sensor", "reading", "invoice", "claim", "policy", "room", "booking", "guest", "team",
          "match", "score", "device", "batch", "recipe", "ward", "visit", "dose", "plot", "harvest")
_ODD = ("select", "user", "table", "Order Line", "größe", "日本", "a.b", "it's", 'say "hi"', "CamelCase", "50%",
        "über straße", "end", "column", " lead", "new", "Δt", "a-b", "$money", "group")
# What may not stand bare as a name of a column or table; enough of them for what is drawn here.
_RESERVED = frozenset("""all analyse analyze and any array as asc both case cast check collate column constraint
create current_date default deferrable desc distinct do else end except false fetch for foreign from grant group
having in initially intersect into lateral leading limit localtime not null offset on only or order placing
primary references returning select session_user some symmetric table then to trailing true union unique user
using variadic when where window with""".split())
BYTES_MAX = 63


def quoted(name: str) -> str:
    """As it is written in SQL: in quotes only where it must be."""
    if re.fullmatch(r"[a-z_][a-z0-9_]*", name) and name not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def dotted(schema: str, name: str) -> str:
    return f"{quoted(schema)}.{quoted(name)}"


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def fit(text: str, room: int = BYTES_MAX) -> str:
    """Its first bytes, as many whole characters as there is room for."""
    return text.encode()[:room].decode(errors="ignore")


class Names:
    """Draws names that are not taken. Owned by one generator."""

    def __init__(self, rng: random.Random):
        self._rng = rng
        self._taken: set[str] = set()

    def draw(self, word: str = "") -> str:
        rng = self._rng
        while True:
            style = rng.random()
            name = word or "_".join(rng.sample(_WORDS, rng.choice((1, 2))))
            if style < 0.08:
                name = rng.choice(_ODD) + (" " + name if rng.random() < 0.5 else "")
            elif style < 0.11:
                name = (name + "_of_" + "_".join(rng.sample(_WORDS, 12)))
            name = fit(name)
            if name in self._taken:
                name = f"{fit(name, BYTES_MAX - 4)}_{rng.randrange(2, 999)}"
            if name not in self._taken:
                self._taken.add(name)
                return name
