#!/usr/bin/env python3
"""Draws docs/performance-*.svg from docs/performance.json, light and dark: tests/bench/plot.py"""

import json
import math
import pathlib

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
THEMES = {
    "light": {"paper": "#ffffff", "text": "#1f2328", "grid": "#d1d9e0", "lines": ["#0969da", "#bc4c00"]},
    "dark": {"paper": "#0d1117", "text": "#e6edf3", "grid": "#30363d", "lines": ["#58a6ff", "#f0883e"]},
}
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 320, 80, 20, 48, 48


def shown(value):
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def draw(theme, title, across, up, lines):
    """Both axes are logarithmic. LINES: (name, [(x, y)])."""
    xs = [x for _, points in lines for x, _ in points]
    ys = [y for _, points in lines for _, y in points]
    low_x, high_x = math.log10(min(xs)), math.log10(max(xs))
    low_y, high_y = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)))

    def at(x, y):
        return (LEFT + (math.log10(x) - low_x) / (high_x - low_x) * (WIDTH - LEFT - RIGHT),
                HEIGHT - BOTTOM - (math.log10(y) - low_y) / (high_y - low_y) * (HEIGHT - TOP - BOTTOM))

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" '
           f'fill="{theme["text"]}" role="img"><title>{title}</title><rect width="{WIDTH}" height="{HEIGHT}" fill="{theme["paper"]}"/>',
           f'<text x="{LEFT}" y="20" font-size="14">{title}</text>',
           f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 8}" text-anchor="end">{across}</text><text x="{LEFT}" y="38">{up}</text>']
    for power in range(low_y, high_y + 1):
        y = at(xs[0], 10 ** power)[1]
        out.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{theme["grid"]}"/>'
                   f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{shown(10 ** power)}</text>')
    for x in sorted(set(xs)):
        out.append(f'<text x="{at(x, ys[0])[0]:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{shown(x)}</text>')
    for (name, points), colour in zip(lines, theme["lines"]):
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in (at(*p) for p in points))
        out.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in (at(*p) for p in points)]
    for i, ((name, _), colour) in enumerate(zip(lines, theme["lines"])):
        x = WIDTH - RIGHT - 220
        out.append(f'<path d="M{x} {16 + i * 16}h16" stroke="{colour}" stroke-width="2"/><text x="{x + 22}" y="{20 + i * 16}">{name}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"


def main():
    rows = json.loads((DOCS / "performance.json").read_text())["rows"]
    pushes = [r for r in rows if "kib" in r]

    def pair(chosen, key):
        chosen = sorted(chosen, key=lambda r: r[key])
        return [("buildhook", [(r[key], r["ours_us"]) for r in chosen]),
                ("nginx, and an HMAC", [(r[key], r["nginx_us"] + r["hmac_us"]) for r in chosen])]

    sizes = {r["kib"]: r for r in pushes if r["connections"] in (2, 4, 16)}
    charts = {
        "sizes": ("CPU of a push", "KB of body", "microseconds", pair(sizes.values(), "kib")),
        "connections": ("CPU of a push of 8 KB", "connections", "microseconds", pair([r for r in pushes if r["kib"] == 8], "connections")),
        "buildconfigs": ("CPU of a push of 8 KB", "BuildConfigs", "microseconds",
                         [("buildhook", [(r["n"], r["median"]) for r in rows if r["what"].endswith("CPU of a delivery")])]),
    }
    for name, chart in charts.items():
        for theme, colours in THEMES.items():
            (DOCS / f"performance-{name}-{theme}.svg").write_text(draw(colours, *chart))


main()
