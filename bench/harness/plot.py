"""The curve as an SVG, written by hand: rows/s of the migration against p99 of the application."""

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 860, 520
LEFT, RIGHT, TOP, BOTTOM = 70, 30, 30, 60
COLORS = {"pawl": "#1f6feb", "bare": "#9a6700", "giant": "#cf222e", "no": "#57606a"}


def _color(name):
    return next((color for prefix, color in COLORS.items() if name.startswith(prefix)), "#57606a")


def _scales(points):
    rates = [rate for _, rate, _ in points]
    latencies = [p99 for _, _, p99 in points]
    most = max(rates) * 1.15 or 1
    low, high = math.log10(min(latencies) * 0.8), math.log10(max(latencies) * 1.3)

    def x(rate):
        return LEFT + (WIDTH - LEFT - RIGHT) * rate / most

    def y(p99):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (math.log10(p99) - low) / (high - low)

    return x, y, most, low, high


def _ticks_linear(most):
    step = 10 ** math.floor(math.log10(most / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if most / (step * factor) <= 7)
    return [step * i for i in range(int(most / step) + 1)]


def _ticks_log(low, high):
    return [factor * 10 ** power for power in range(math.floor(low), math.ceil(high) + 1)
            for factor in (1, 2, 5) if low <= math.log10(factor * 10 ** power) <= high]


def _text(x, y, words, size=12, anchor="start", color="#24292f", more=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'fill="{color}" {more}>{escape(words)}</text>')


def _axes(x, y, most, low, high):
    parts = []
    for rate in _ticks_linear(most):
        parts.append(f'<line x1="{x(rate):.1f}" x2="{x(rate):.1f}" y1="{TOP}" '
                     f'y2="{HEIGHT - BOTTOM}" stroke="#eaeef2"/>')
        parts.append(_text(x(rate), HEIGHT - BOTTOM + 18, f"{rate / 1000:g}k", anchor="middle"))
    for p99 in _ticks_log(low, high):
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(p99):.1f}" '
                     f'y2="{y(p99):.1f}" stroke="#eaeef2"/>')
        parts.append(_text(LEFT - 8, y(p99) + 4, f"{p99:g}", anchor="end"))
    parts.append(_text((LEFT + WIDTH) / 2, HEIGHT - 14, "rows/s of the migration",
                       anchor="middle"))
    parts.append(_text(18, HEIGHT / 2, "p99 of the application, ms", anchor="middle",
                       more=f'transform="rotate(-90 18 {HEIGHT / 2})"'))
    return parts


def _curve(points, word, x, y):
    """Joins the settings of one family, slowest first."""
    family = sorted((rate, p99, name) for name, rate, p99 in points if word in name)
    if len(family) < 2:
        return []
    path = " ".join(f"{x(rate):.1f},{y(p99):.1f}" for rate, p99, _ in family)
    return [f'<polyline points="{path}" fill="none" stroke="{_color(family[0][2])}" '
            f'stroke-opacity="0.5" stroke-width="1.5"/>']


def _labels(points, x, y):
    """Each beside its dot, where no other label is; above it by preference."""
    taken, parts = [], []
    for name, rate, p99 in sorted(points, key=lambda point: y(point[2])):
        width = 6.4 * len(name)
        left = x(rate) + 9 + width > WIDTH
        at_x = x(rate) - 9 - width if left else x(rate) + 9
        for shift in (-7, 16, -21, 30, -35, 44, -49):
            box = (at_x, y(p99) + shift - 11, at_x + width, y(p99) + shift + 3)
            if not any(box[0] < other[2] and other[0] < box[2] and box[1] < other[3]
                       and other[1] < box[3] for other in taken):
                break
        taken.append(box)
        parts.append(_text(at_x, box[3] - 3, name, color=_color(name)))
    return parts


def write_svg(path, medians):
    points = [(name, m["rows_per_second"], m["p99_ms"]) for name, m in medians.items()
              if m.get("p99_ms")]
    if not points:
        return
    x, y, most, low, high = _scales(points)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
             f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
             *_axes(x, y, most, low, high), *_curve(points, "pawl +", x, y),
             *_curve(points, "sleep", x, y)]
    for name, rate, p99 in points:
        parts.append(f'<circle cx="{x(rate):.1f}" cy="{y(p99):.1f}" r="5" fill="{_color(name)}"/>')
    parts += _labels(points, x, y)
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join([*parts, "</svg>"]) + "\n")
