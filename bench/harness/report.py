"""Turns rounds into Markdown and JSON. Medians over rounds; ratios are taken within a round."""

import json
import os
import platform
import statistics

from harness.server import WARM_SETTINGS

COLUMNS = ["variant", "rows/s", "to base", "rows/s whole", "WAL MB", "WAL to base", "table", "indexes",
           "HOT", "CPU s client/server", "RSS MiB"]


def _median(rounds, name, metric):
    values = [measured[name][metric] for measured in rounds
              if name in measured and measured[name][metric] is not None]
    return statistics.median(values) if values else None


def _ratios(rounds, name, base, metric):
    return [measured[name][metric] / measured[base][metric] for measured in rounds
            if name in measured and base in measured]


def _format(value, pattern):
    return "–" if value is None else pattern.format(value)


def _spread(values):
    if not values:
        return "–"
    text = f"{statistics.median(values):.2f}"
    return text if len(values) == 1 else f"{text} [{min(values):.2f}–{max(values):.2f}]"


def _line(cells):
    return "| " + " | ".join(cells) + " |"


def _variant_line(rounds, name, base):
    def median(metric):
        return _median(rounds, name, metric)
    return _line([
        name,
        _format(median("rows_per_second"), "{:,.0f}"),
        _spread(_ratios(rounds, name, base, "rows_per_second")),
        _format(median("rows_per_second_whole"), "{:,.0f}"),
        _format(median("wal_mb"), "{:,.0f}"),
        _spread(_ratios(rounds, name, base, "wal_bytes")),
        _format(median("table_growth"), "{:+.0%}"),
        _format(median("index_growth"), "{:+.0%}"),
        _format(median("hot_share"), "{:.0%}"),
        f"{_format(median('client_cpu_seconds'), '{:.2f}')} / "
        f"{_format(median('server_cpu_seconds'), '{:.1f}')}",
        _format(median("rss_mib"), "{:.0f}"),
    ])


def table_header(columns):
    return [_line(columns), _line(["---"] * len(columns))]


def suite_markdown(suite, rounds):
    names = [variant.name for variant in suite.variants
             if any(variant.name in measured for measured in rounds)]
    lines = [f"### {suite.name}: {suite.question}", ""]
    if not names:
        return [*lines, "Nothing was measured.", ""]
    lines += [f"{len(rounds)} rounds; base: {suite.base}.", "", *table_header(COLUMNS)]
    return [*lines, *(_variant_line(rounds, name, suite.base) for name in names), ""]


def _number(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def special_markdown(name, question, rounds):
    lines = [f"### {name}: {question}", ""]
    subjects = list(dict.fromkeys(subject for measured in rounds for subject in measured))
    metrics = list(dict.fromkeys(metric for measured in rounds for values in measured.values()
                                 for metric, value in values.items()
                                 if isinstance(value, (int, float))))
    if not subjects:
        return [*lines, "Nothing was measured.", ""]
    lines += table_header(["variant", *metrics])
    for subject in subjects:
        cells = []
        for metric in metrics:
            values = [measured[subject][metric] for measured in rounds
                      if metric in measured.get(subject, {})]
            cells.append(_number(statistics.median(values)) if values else "–")
        lines.append(_line([subject, *cells]))
    return [*lines, ""]


def figures_markdown(judged):
    verdicts = {True: "yes", False: "**no**", None: "–"}
    lines = ["### Figures", "",
             *table_header(["suite", "figure", "needed", "measured", "spread", "rounds", "holds"])]
    for suite, figure in judged:
        lines.append(_line([
            suite, figure["figure"], figure["limit"], _format(figure["value"], "{:.3g}"),
            "–" if figure["value"] is None else f"{figure['low']:.3g}–{figure['high']:.3g}",
            str(figure["rounds"]), verdicts[figure["holds"]]]))
    return [*lines, ""]


def environment(server, arguments):
    with open("/proc/meminfo", encoding="ascii") as meminfo:
        memory_kib = int(meminfo.readline().split()[1])
    return {
        "postgresql": server.scalar("postgres", "SHOW server_version"),
        "settings": WARM_SETTINGS,
        "autovacuum": "off for the measured table only",
        "cores": os.cpu_count(), "memory_mib": memory_kib // 1024,
        "kernel": platform.release(), "rows": arguments.rows, "rounds": arguments.rounds,
        "seed": arguments.seed, "quick": arguments.quick,
    }


def write_json(path, content):
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2, ensure_ascii=False)
        file.write("\n")
