"""The judge of the ledger: batches partition the table, one commit each, and every number adds up."""
from __future__ import annotations

from collections import defaultdict

from pg import Connection


def _chains(ranges: list[tuple[str | None, str]], begin: str | None, end: str) -> str | None:
    """Whether half-open ranges, in order, go from `begin` to `end` without gap or overlap."""
    position = begin
    for low, high in ranges:
        if low != position:
            return f"a batch begins at {low} where {position} is expected"
        position = high
    return None if position == end else f"the batches end at {position}, not at {end}"


def faults_of_span(connection: Connection, run: int, span: tuple[str | None, ...]) -> list[str]:
    span_id, begin, end, seq = span
    batches = connection.query(
        "SELECT seq, range_lo, range_hi, residue_lo, residue_hi FROM pawl.ledger "
        "WHERE run_id = $1 AND span_id = $2 AND round > 0 ORDER BY seq", run, span_id)
    faults = []
    if [int(b[0] or 0) for b in batches] != list(range(1, len(batches) + 1)):
        faults.append(f"the batches of span {span_id} are not numbered from 1 on")
    if len(batches) != int(seq or 0):
        faults.append(f"span {span_id} counts {seq} batches, the ledger {len(batches)}")
    # Each residue walks the whole span by itself, window after window.
    stride = max((int(b[4] or 0) for b in batches), default=0)
    of_residue: dict[int, list[tuple[str | None, str]]] = defaultdict(list)
    for _, low, high, residue_low, residue_high in batches:
        for residue in range(int(residue_low or 0), int(residue_high or 0)):
            of_residue[residue].append((low, high or ""))
    for residue in range(stride):
        fault = _chains(of_residue[residue], begin, end or "")
        if fault:
            faults.append(f"span {span_id}, residue {residue} of {stride}: {fault}")
    if not batches:
        faults.append(f"span {span_id} has no batch")
    return faults


def ledger_faults(connection: Connection, run: int, completed: bool) -> list[str]:
    """Sentences about what the ledger of a run says that cannot be; empty where all is well."""
    faults = []
    if connection.number("SELECT count(*) - count(DISTINCT xid) FROM pawl.ledger WHERE run_id = $1",
                         run):
        faults.append("two batches have the same transaction")
    twice = connection.number(
        "SELECT count(*) FROM (SELECT reverts FROM pawl.ledger WHERE run_id = $1 AND reverts IS "
        "NOT NULL GROUP BY reverts HAVING count(*) > 1) AS s", run)
    if twice:
        faults.append(f"{twice} batches were taken back twice")
    if not completed:
        return faults
    spans = connection.query(
        "SELECT span_id, begin_key, end_key, seq, step, round, done FROM pawl.span "
        "WHERE run_id = $1 AND round > 0 ORDER BY step, round, span_id", run)
    by_round: dict[tuple[str | None, str | None], list[tuple[str | None, ...]]] = defaultdict(list)
    for span in spans:
        by_round[(span[4], span[5])].append(span)
        if span[6] != "t":
            faults.append(f"span {span[0]} is not done")
        faults += faults_of_span(connection, run, span[:4])
    for (step, round_), members in by_round.items():
        faults += _span_chain(f"step {step} round {round_}", members)
    return faults


def _span_chain(where: str, spans: list[tuple[str | None, ...]]) -> list[str]:
    """Spans begin where others end, the first at the beginning; a split one lies anywhere."""
    by_begin = {span[1]: span for span in spans}
    if len(by_begin) != len(spans):
        return [f"{where}: two spans begin at one place"]
    position, seen = None, 0
    while position in by_begin:
        position = by_begin[position][2]
        seen += 1
        if seen > len(spans):
            return [f"{where}: the spans go in a circle"]
    return [] if seen == len(spans) else [f"{where}: {len(spans) - seen} spans follow no other"]
