"""A line chart as SVG, by hand, so that the report needs no plotting library."""

import math

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 380, 56, 120, 20, 44
COLOURS = ("#7a7a7a", "#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#e08214")


def ticks(high):
    """Multiples from zero to `high` of the 1, 2 or 5 times a power of ten that gives at most eight."""
    power = 10.0 ** math.floor(math.log10(high))
    step = next(f * power for f in (0.1, 0.2, 0.5, 1, 2) if high / (f * power) <= 8)
    return [step * i for i in range(int(high / step) + 1)]


def line_chart(series, x_label, y_label):
    """series: name -> [(x, y), ...]. Returns the text of an SVG file; both axes start at zero."""
    x_high = max(x for points in series.values() for x, _ in points)
    y_high = max(y for points in series.values() for _, y in points)
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def place(x, y):
        return LEFT + (right - LEFT) * x / x_high, bottom - (bottom - TOP) * y / y_high

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
             'font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for value in ticks(y_high):
        _, y = place(0, value)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#ddd"/>'
                     f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    for value in ticks(x_high):
        x, _ = place(value, 0)
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{value:.3g}</text>')
    parts.append(f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{x_label}</text>')
    parts.append(f'<text x="14" y="{(TOP + bottom) / 2}" text-anchor="middle" '
                 f'transform="rotate(-90 14 {(TOP + bottom) / 2})">{y_label}</text>')
    for number, (name, points) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
        y = TOP + 14 + 18 * number
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
                     f'<path d="M{right + 8} {y - 4}h16" stroke="{colour}" stroke-width="3"/>'
                     f'<text x="{right + 28}" y="{y}">{name}</text>')
    return "\n".join(parts + ["</svg>", ""])
