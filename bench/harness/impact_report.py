"""What --impact found: medians over the rounds, the figures that are asked for, a Markdown table."""

import statistics


def median_of(rounds, metric):
    values = [measured[metric] for measured in rounds if measured.get(metric) is not None]
    return statistics.median(values) if values else None


def medians(rounds):
    return {metric: median_of(rounds, metric) for metric in rounds[0]}


def brief(measured):
    shown = {key: round(value, 1) for key, value in measured.items() if value is not None}
    return f"  {shown['rows_per_second']:,.0f} rows/s, p99 {shown.get('p99_ms')} ms"


def rate_at(points, p99):
    """Rows/s at which a family of settings reaches `p99`, between its two nearest points; None where
    it never does. Points: (p99, rows/s)."""
    ordered = sorted(point for point in points if None not in point)
    under = [point for point in ordered if point[0] <= p99]
    over = [point for point in ordered if point[0] > p99]
    if not under:
        return None
    if not over:
        return max(rate for _, rate in under)
    (p0, r0), (p1, r1) = under[-1], over[0]
    return r0 + (r1 - r0) * (p99 - p0) / (p1 - p0)


def judge(medians, extra):
    """Lines of (figure, needed, measured, holds)."""
    lines = []

    def add(text, needed, value, holds, shown):
        lines.append((text, needed, "–" if value is None else shown.format(value),
                      "–" if value is None else "yes" if holds(value) else "**no**"))

    alone = medians.get("no migration", {}).get("p99_ms")
    quarter = medians.get("pawl +25%", {})
    if alone and quarter:
        add("p99 at +25 % to no migration", "≤ 1.25", quarter["p99_ms"] / alone,
            lambda v: v <= 1.25, "{:.2f}")
        add("rows/s at +25 %", "≥ 15,000", quarter["rows_per_second"], lambda v: v >= 15_000,
            "{:,.0f}")
    if alone:
        def family(word):
            return [(m["p99_ms"], m["rows_per_second"]) for name, m in medians.items()
                    if word in name]
        pawl = rate_at(family("pawl +"), 1.75 * alone)
        slept = rate_at(family("sleep"), 1.75 * alone)
        add("rows/s at p99 of 1.75 times alone, to the hand-tuned loop", "≥ 2",
            pawl / slept if pawl and slept else None, lambda v: v >= 2, "{:.2f}")
    if "spike" in extra:
        add("rate tripled: seconds until it has given way", "< 2",
            extra["spike"]["gave_way_seconds"], lambda v: v < 2, "{:.1f}")
        add("seconds until it is back at speed", "< 10", extra["spike"]["back_seconds"],
            lambda v: v < 10, "{:.1f}")
    if "idle" in extra:
        add("idle database: to unthrottled", "≥ 0.95", extra["idle"]["share"],
            lambda v: v >= 0.95, "{:.2f}")
    if "growth" in extra:
        add("table growth with limit.growth=25%", "< 30 %", 100 * extra["growth"]["growth"],
            lambda v: v < 30, "{:.0f} %")
    return lines


def markdown(medians, lines, environment):
    def ms(value):
        return "–" if value is None else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"

    text = [f"{environment}", "",
            "| migration | rows/s | p50 ms | p95 ms | p99 ms | worst ms | not served |",
            "|---|---|---|---|---|---|---|"]
    for name, m in medians.items():
        text.append(f"| {name} | {m['rows_per_second']:,.0f} | {ms(m['p50_ms'])} | "
                    f"{ms(m['p95_ms'])} | {ms(m['p99_ms'])} | {ms(m['max_ms'])} | "
                    f"{m['missing']:,.0f} |")
    text += ["", "| figure | needed | measured | holds |", "|---|---|---|---|"]
    text += [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join(text)
