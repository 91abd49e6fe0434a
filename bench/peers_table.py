"""What ./dev bench peers found, as Markdown and as SVG."""

import os
import re
from xml.sax.saxutils import escape

COLOURS = {"PyTorch": "#d9822b", "sd.cpp": "#8a5fd3", "sd.cpp as shipped": "#b9a3e3", "snug": "#2f9e6e"}
OWN = "snug"
LEFT, BAR, GAP, WIDTH = 20, 16, 46, 640
BEGIN, END = "<!-- bench peers -->", "<!-- end of bench peers -->"


class Line:
    """A row: title, GFLOP (or None), {system: (seconds or None, bytes, why not)}."""

    def __init__(self, title, gflop, cells):
        self.title, self.gflop, self.cells = title, gflop, cells

    def ratio(self, system):
        theirs, own = self.cells[system][0], self.cells[OWN][0]
        return theirs / own if theirs and own else None


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        found = re.search(r"^model name\s*:\s*(.*)$", file.read(), re.M)
    return found.group(1).strip() if found else "processor unknown"


def _cell(cell):
    seconds, peak, why = cell
    return f"{seconds:.2f} s, {peak / 2**30:.2f} GiB" if seconds else why.replace("|", "/") or "-"


def _ratio(value):
    return f"{value:.2f} x" if value else "-"


def markdown(lines, note):
    systems = list(COLOURS)
    peers = [name for name in systems if name != OWN]
    head = ["work", "GFLOP", *systems, *(f"{name} / {OWN}" for name in peers)]
    out = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for line in lines:
        cells = [line.title, f"{line.gflop:.0f}" if line.gflop else "-"]
        cells += [_cell(line.cells[name]) for name in systems]
        cells += [_ratio(line.ratio(name)) for name in peers]
        out.append("| " + " | ".join(cells) + " |")
    return "\n".join([*out, "", note])


def svg(lines, note):
    """Bars of seconds, each row to its own scale."""
    shown = [[(name, cell) for name, cell in line.cells.items() if cell[0] or cell[2]] for line in lines]
    high = GAP + sum(len(cells) * BAR + GAP for cells in shown)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 140} {high}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="20" fill="#555">{escape(note)} Seconds and peak memory; shorter is better.</text>',
    ]
    y = GAP
    for line, cells in zip(lines, shown):
        out.append(f'<text x="{LEFT}" y="{y}" font-weight="bold">{escape(line.title)}</text>')
        longest = max([cell[0] for _, cell in cells if cell[0]], default=1)
        for i, (name, cell) in enumerate(cells):
            top = y + 6 + i * BAR
            long = WIDTH * 0.75 * (cell[0] or 0) / longest
            text = escape(f"{name}: {_cell(cell)}"[:80])
            out.append(f'<rect x="{LEFT}" y="{top}" width="{long:.1f}" height="{BAR - 3}" fill="{COLOURS[name]}"/>')
            out.append(f'<text x="{LEFT + long + 6:.1f}" y="{top + 11}">{text}</text>')
        y += len(cells) * BAR + GAP
    return "\n".join(out) + "\n</svg>\n"


def write(lines, note, folder):
    with open(os.path.join(folder, "peers.svg"), "w", encoding="utf-8") as file:
        file.write(svg(lines, note))
    path = os.path.join(folder, "PERF.md")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    block = f"{BEGIN}\n{markdown(lines, note)}\n\n![peers](peers.svg)\n{END}"
    if BEGIN in text:
        text = text[: text.index(BEGIN)] + block + text[text.index(END) + len(END) :]
    else:
        text += f"\n## Beside PyTorch and stable-diffusion.cpp (./dev bench peers)\n\n{block}\n"
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
