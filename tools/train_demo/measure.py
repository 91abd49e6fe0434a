"""Says what a clip shows, from its pixels alone: colour, shape and motion of the one coloured thing.

The grounds are muted, so chroma (largest minus smallest channel) separates the thing from them.

    python measure.py      # how often the ruler itself is right, on clips drawn by data.py
"""

import numpy as np

import data

CHROMA = 0.33  # grounds stay below 0.22
HUES = {}


def hue(rgb):
    r, g, b = np.moveaxis(np.asarray(rgb, np.float64), -1, 0)
    return np.degrees(np.arctan2(np.sqrt(3) * (g - b), 2 * r - g - b)) % 360


for _name, _rgb in data.COLOURS.items():
    HUES[_name] = float(hue(_rgb))


def masks(frames):
    return frames.max(-1) - frames.min(-1) > CHROMA


def colour_of(frames, mask):
    if not mask.any():
        return "none"
    off = hue(frames[mask])[:, None] - np.array(list(HUES.values()))[None]
    nearest = np.abs((off + 180) % 360 - 180).argmin(1)
    return data.COLOUR_NAMES[np.bincount(nearest, minlength=len(HUES)).argmax()]


def template(shape, area, cx, cy, angle):
    unit = {"ball": 3.1416, "box": 3.0976, "triangle": 1.9974, "star": 1.75, "ring": 2.7445}[shape]
    one = lambda v: np.array([v], np.float64)
    t = data.Thing(shape, "", "", "", one(cx), one(cy), one(np.sqrt(area / unit)), one(angle))
    return data.coverage(t, 0, 0, 1.0)[0] > 0.5


TURNS = {"ball": [0], "ring": [0], "box": np.linspace(0, np.pi / 2, 9)[:-1]}
TURNS["triangle"] = np.linspace(0, 2 * np.pi / 3, 12)[:-1]
TURNS["star"] = np.linspace(0, 2 * np.pi / 5, 8)[:-1]


def overlap(a, b):
    return (a & b).sum() / max(1, (a | b).sum())


def centre(mask):
    y, x = np.nonzero(mask)
    return x.mean() + 0.5, y.mean() + 0.5


def shape_of(mask):
    """The shape whose best-turned template covers the mask best, over three frames."""
    score = dict.fromkeys(data.SHAPE_NAMES, 0.0)
    for m in (mask[0], mask[8], mask[16]):
        if m.sum() < 12:
            continue
        cx, cy = centre(m)
        for s in score:
            score[s] += max(overlap(template(s, m.sum(), cx, cy, a), m) for a in TURNS[s])
    return max(score, key=score.get)


def centred(mask):
    cx, cy = centre(mask)
    return np.roll(mask, (32 - int(cy), 32 - int(cx)), (0, 1))


def motion_of(mask):
    area = mask.sum((1, 2)).astype(float)
    if (area < 12).sum() > 4:
        return "none", {}
    ok = area >= 12
    xy = np.array([centre(m) if m.any() else (np.nan, np.nan) for m in mask])[ok]
    area, shown = area[ok], mask[ok]
    dx, dy = xy[-2:].mean(0) - xy[:2].mean(0)
    span = np.ptp(xy[:, 1])
    path = np.abs(np.diff(xy[:, 1])).sum()
    ratio = area[-2:].mean() / area[:2].mean()
    first = centred(shown[0])
    same = min(max(overlap(first, np.roll(centred(m), s, (0, 1))) for s in NEAR) for m in shown)
    facts = {"dx": dx, "dy": dy, "ratio": ratio, "same": same}
    facts = {k: round(float(v), 2) for k, v in facts.items()}
    if span > 8 and path > 1.8 * span:
        return "bounce", facts
    if max(abs(dx), abs(dy)) > 8:
        if abs(dx) > abs(dy):
            return ("right" if dx > 0 else "left"), facts
        return ("down" if dy > 0 else "up"), facts
    if ratio > 1.7:
        return "grow", facts
    if ratio < 0.6:
        return "shrink", facts
    return ("spin" if same < 0.77 else "still"), facts


NEAR = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]


def measure(frames):
    """frames [17, 64, 64, 3] in 0..1 -> {"colour", "shape", "motion", ...}"""
    mask = masks(frames)
    motion, facts = motion_of(mask)
    return {"colour": colour_of(frames, mask), "shape": shape_of(mask), "motion": motion, **facts}


def main():
    right, wrong = dict.fromkeys(["colour", "shape", "motion"], 0), []
    rng = np.random.default_rng(5)
    n = 0
    for i in range(400):
        thing = data.random_thing(rng)
        if thing.motion == "spin" and thing.shape in data.ROUND:
            continue
        ground = data.draw_ground(rng, data.pick(rng, data.KINDS), data.pick(rng, list(data.GROUNDS)))
        got = measure(data.draw(ground, [thing]))
        n += 1
        for k in right:
            right[k] += got[k] == getattr(thing, k)
            if got[k] != getattr(thing, k):
                wrong.append((thing.size, thing.colour, thing.shape, thing.motion, k, got))
    print({k: f"{100 * v / n:.1f} %" for k, v in right.items()}, "of", n)
    for w in wrong[:20]:
        print(*w)


if __name__ == "__main__":
    main()
