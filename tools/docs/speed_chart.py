#!/usr/bin/env python3
"""Draws the README's chart of decoding speed, speed.svg, from speed.json beside it: a report of tools/bench/peers.

usage: tools/bench/peers --json tools/docs/speed.json && tools/docs/speed_chart.py
"""
import json
import statistics
from html import escape
from pathlib import Path

HERE = Path(__file__).resolve().parent
GROUPS = {"8-bit": ("int8", "Q8_0"), "16-bit": ("f16", "F16"), "32-bit": ("f32",)}  # by the last word of an engine's name
WIDTH, LEFT, RIGHT, TOP = 720, 190, 60, 62
BAR, PITCH, GAP = 16, 22, 14  # height of a bar, distance between bars, extra distance between groups
STYLE = """
text { font: 13px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #1f2328 }
.title { font-size: 15px; font-weight: 600 } .soft { fill: #59636e; font-size: 12px } .own { font-weight: 600 }
.card { fill: #ffffff; stroke: #d1d9e0 } .bar { fill: #b6bfc9 } .bar.own { fill: #0b7a4b }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .soft { fill: #9198a1 }
  .card { fill: #151b23; stroke: #3d444d } .bar { fill: #59636e } .bar.own { fill: #3fb97f }
}
"""


def draw(report: dict) -> str:
    speeds = {  # of each engine's fastest configuration
        name: max(statistics.median(rounds) for rounds in cells["near"].values())
        for name, cells in report["figures"].items()
        if cells.get("near")
    }
    scale = (WIDTH - LEFT - RIGHT) / max(speeds.values())
    parts = []
    y = TOP
    for group, types in GROUPS.items():
        engines = sorted((name for name in speeds if name.split()[-1] in types), key=speeds.get, reverse=True)
        for number, name in enumerate(engines):
            own = " own" if name.startswith("aira-cli") else ""
            length, text = speeds[name] * scale, y + BAR - 4
            if number == 0:
                parts.append(f'<text x="20" y="{text}" class="soft">{group}</text>')
            parts.append(f'<text x="{LEFT - 8}" y="{text}" text-anchor="end" class="{own}">{escape(name)}</text>')
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2" class="bar{own}"/>')
            parts.append(f'<text x="{LEFT + length + 6:.1f}" y="{text}" class="{own}">{speeds[name]:.0f}</text>')
            y += PITCH
        y += GAP
    height = y + 16
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        f"<style>{STYLE}</style>",
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="6" class="card"/>',
        '<text x="20" y="30" class="title">Decoding speed, tokens per second</text>',
        '<text x="20" y="48" class="soft">one sequence, 124 million parameters, CPU; longer is better</text>',
    ]
    return "\n".join([*head, *parts, f'<text x="20" y="{y + 2}" class="soft">{escape(report["about"])}</text>', "</svg>", ""])


if __name__ == "__main__":
    report = json.loads((HERE / "speed.json").read_text(encoding="utf8"))
    (HERE / "speed.svg").write_text(draw(report), encoding="utf8")
