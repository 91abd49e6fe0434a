#!/usr/bin/env python3
"""Draw a plan as SVG: what fills the budget in each stage.

    snug plan PIPELINE ... --json | tools/plot_plan.py "title" > docs/memory-plan.svg
"""

import json
import sys

LEFT, TOP, WIDTH, HEIGHT, LEGEND = 70, 50, 640, 280, 60
PARTS = [("process and output", "#9aa5b1"), ("activations", "#4c8bf5"), ("weights held at once", "#2f9e6e")]


def stage_parts(plan, stage):
    """Bytes of each part, from the bottom up."""
    return [plan["fixed_bytes"], stage["tensor_bytes"], stage["slab_bytes"] - stage["tensor_bytes"]]


def gib(n):
    return f"{n / 2**30:.1f} GiB" if n >= 2**30 else f"{n / 2**20:.0f} MiB"


def draw(plan, title):
    budget = plan["budget_bytes"]
    scale = HEIGHT / (budget * 1.08)
    floor = TOP + HEIGHT
    column = WIDTH / len(plan["stages"])
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 20} '
           f'{floor + 50 + LEGEND}" font-family="sans-serif" font-size="13">',
           '<rect width="100%" height="100%" fill="#ffffff"/>',
           f'<text x="{LEFT}" y="24" font-size="16" font-weight="bold">{title}</text>']
    for i, stage in enumerate(plan["stages"]):
        x, y = LEFT + i * column + column * 0.15, floor
        for (name, colour), size in zip(PARTS, stage_parts(plan, stage)):
            high = size * scale
            y -= high
            out.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{column * 0.7:.1f}" height="{high:.1f}" '
                       f'fill="{colour}"><title>{name}: {gib(size)}</title></rect>')
            if high > 16:
                out.append(f'<text x="{x + column * 0.35:.1f}" y="{y + high / 2 + 5:.1f}" fill="#ffffff" '
                           f'text-anchor="middle">{gib(size)}</text>')
        middle = x + column * 0.35
        steps = f' ({stage["steps"]} steps)' if stage["steps"] else ""
        weights = f'{gib(stage["weight_bytes"])} of weights'
        out.append(f'<text x="{middle:.1f}" y="{floor + 20}" text-anchor="middle">{stage["name"]}{steps}</text>')
        for line, text in enumerate((weights, f'{gib(stage["moved_bytes"])} read')):
            out.append(f'<text x="{middle:.1f}" y="{floor + 38 + 17 * line}" text-anchor="middle" '
                       f'fill="#555">{text}</text>')
    line = floor - budget * scale
    out.append(f'<line x1="{LEFT}" y1="{line:.1f}" x2="{LEFT + WIDTH}" y2="{line:.1f}" stroke="#d33" '
               'stroke-width="2" stroke-dasharray="6 4"/>')
    out.append(f'<text x="{LEFT - 6}" y="{line + 4:.1f}" text-anchor="end" fill="#d33">{gib(budget)}</text>')
    out.append(f'<line x1="{LEFT}" y1="{floor}" x2="{LEFT + WIDTH}" y2="{floor}" stroke="#333"/>')
    for i, (name, colour) in enumerate(PARTS):
        x = LEFT + i * WIDTH / len(PARTS)
        out.append(f'<rect x="{x:.1f}" y="{floor + 76}" width="12" height="12" fill="{colour}"/>')
        out.append(f'<text x="{x + 17:.1f}" y="{floor + 87}" font-size="12">{name}</text>')
    return "\n".join(out) + "\n</svg>\n"


if __name__ == "__main__":
    sys.stdout.write(draw(json.load(sys.stdin), sys.argv[1] if len(sys.argv) > 1 else "memory plan"))
