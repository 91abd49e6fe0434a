"""Endless, seeded toy clips with captions: coloured shapes that move over muted grounds.

A clip is 17 frames of 64x64 RGB in 0..1, drawn by distance functions (so edges are antialiased)
with a soft shadow and a little light from the upper left. `clip(seed)` is a pure function of its
seed. Some (shape, colour, motion) triples are never drawn for training; score.py asks for them.

    python data.py --sheet sheet.png      # a contact sheet with captions on stdout
    python data.py --example example.png  # the first frame that models/demo ships
"""

import argparse
import dataclasses

import numpy as np

SIZE, FRAMES = 64, 17

SHAPES = {
    "ball": ["ball", "ball", "circle"],
    "box": ["box", "box", "square"],
    "triangle": ["triangle"],
    "star": ["star"],
    "ring": ["ring", "ring", "hoop"],
}
COLOURS = {  # word: RGB; all strongly coloured, at least 20 degrees of hue apart
    "red": (225, 35, 40),
    "orange": (250, 130, 10),
    "yellow": (248, 228, 40),
    "green": (40, 180, 60),
    "cyan": (35, 205, 220),
    "blue": (40, 80, 230),
    "purple": (145, 50, 205),
    "pink": (255, 105, 190),
}
SIZES = {"small": (["small", "small", "little"], 8.0), "large": (["large", "large", "big"], 12.0)}
GROUNDS = {  # word: RGB; all muted, so that colour alone tells object from ground
    "grey": (128, 128, 128),
    "sand": (190, 175, 145),
    "slate": (85, 100, 115),
    "sage": (120, 140, 115),
    "brown": (125, 105, 90),
    "dark": (52, 52, 58),
}
KINDS = ["plain", "stripes", "gradient"]
MOTIONS = {
    "left": ["moves left", "moves to the left", "slides left", "rolls to the left"],
    "right": ["moves right", "moves to the right", "slides right", "rolls to the right"],
    "up": ["moves up", "rises", "floats up", "goes up"],
    "down": ["moves down", "falls", "sinks down", "goes down"],
    "bounce": ["bounces", "bounces up and down", "hops"],
    "grow": ["grows", "gets bigger", "grows larger"],
    "shrink": ["shrinks", "gets smaller", "shrinks away"],
    "spin": ["spins", "rotates", "turns around"],
    "still": ["stays still", "does not move", "rests"],
}
ROUND = ("ball", "ring")  # spinning these shows nothing: drawn in training, never scored

SHAPE_NAMES, COLOUR_NAMES, MOTION_NAMES = list(SHAPES), list(COLOURS), list(MOTIONS)


@dataclasses.dataclass
class Thing:
    shape: str
    colour: str
    size: str
    motion: str
    x: np.ndarray  # [F] centre, px
    y: np.ndarray
    r: np.ndarray  # [F] radius, px
    angle: np.ndarray  # [F] radians


def held_out(shape, colour, motion):
    """One shape in five for every (colour, motion); every pair of words is still seen together."""
    s, c, m = SHAPE_NAMES.index(shape), COLOUR_NAMES.index(colour), MOTION_NAMES.index(motion)
    return (s + 2 * c + 3 * m) % 5 == 0


def held_out_triples():
    return [
        (s, c, m)
        for m in MOTION_NAMES
        for c in COLOUR_NAMES
        for s in SHAPE_NAMES
        if held_out(s, c, m) and not (m == "spin" and s in ROUND)
    ]


# ---- drawing --------------------------------------------------------------------------------


def distance(shape, u, v):
    """Signed distance to the unit shape, y down; about 1 is the radius of every shape."""
    if shape == "ball":
        return np.hypot(u, v) - 1.0
    if shape == "ring":
        return np.abs(np.hypot(u, v) - 0.78) - 0.28
    if shape == "box":
        return np.maximum(np.abs(u), np.abs(v)) - 0.88
    if shape == "triangle":
        return np.maximum(v, 0.8660254 * np.abs(u) - 0.5 * v) - 0.62
    kx, ky = 0.809016994375, -0.587785252292  # five-pointed star, folded three times
    x, y = np.abs(u), -v
    d = 2 * np.maximum(kx * x + ky * y, 0)
    x, y = x - d * kx, y - d * ky
    d = 2 * np.maximum(-kx * x + ky * y, 0)
    x, y = x + d * kx, y - d * ky
    x, y = np.abs(x), y - 1.3
    bx, by = 0.45 * -ky, 0.45 * kx - 1.0
    h = np.clip((x * bx + y * by) / (bx * bx + by * by), 0, 1.3)
    return np.hypot(x - bx * h, y - by * h) * np.sign(y * bx - x * by)


PX = np.arange(SIZE, dtype=np.float32)[None, None, :] + 0.5
PY = np.arange(SIZE, dtype=np.float32)[None, :, None] + 0.5


def coverage(thing, ox, oy, soft):
    """[F, H, W] how much of each pixel the shape covers, moved by (ox, oy), edge `soft` px wide."""
    col = lambda a: a.astype(np.float32)[:, None, None]
    dx, dy, r = PX - col(thing.x + ox), PY - col(thing.y + oy), col(thing.r)
    c, s = np.cos(col(thing.angle)), np.sin(col(thing.angle))
    d = distance(thing.shape, (c * dx + s * dy) / r, (c * dy - s * dx) / r) * r
    return np.clip(0.5 - d / soft, 0, 1)


def draw_ground(rng, kind, word):
    base = np.array(GROUNDS[word], np.float32) / 255
    x, y = PX[0] / SIZE, PY[0] / SIZE
    if kind == "plain":
        level = np.ones((SIZE, SIZE), np.float32)
    elif kind == "stripes":
        a = rng.choice([0.0, np.pi / 2, np.pi / 4])
        wave = np.sin(2 * np.pi * ((np.cos(a) * x + np.sin(a) * y) * rng.uniform(4.5, 6) + rng.uniform()))
        level = 1 + 0.16 * np.clip(wave * 3, -1, 1)
    else:
        along = rng.choice(["x", "y"])
        t = (x + 0 * y) if along == "x" else (y + 0 * x)
        level = 0.72 + 0.5 * (t if rng.uniform() < 0.5 else 1 - t)
    return np.clip(base * level[..., None], 0, 1)  # [H, W, 3]


def draw(ground, things):
    frames = np.repeat(ground[None], FRAMES, 0)
    for t in things:
        frames = frames * (1 - 0.45 * coverage(t, 1.5, 2.5, 4.0))[..., None]
    for t in things:
        lx = (PX - t.x.astype(np.float32)[:, None, None]) / t.r[:, None, None] + 0.4
        ly = (PY - t.y.astype(np.float32)[:, None, None]) / t.r[:, None, None] + 0.4
        light = 1.08 - 0.26 * np.clip(np.hypot(lx, ly) / 1.6, 0, 1)
        paint = np.clip(np.array(COLOURS[t.colour], np.float32) / 255 * light[..., None], 0, 1)
        cover = coverage(t, 0, 0, 1.0)[..., None]
        frames = frames * (1 - cover) + paint * cover
    return frames.astype(np.float32)


# ---- scenes ---------------------------------------------------------------------------------


def move(rng, motion, r, lane):
    """Centre, radius and angle over time. lane: None, or the y centre a two-thing clip allows."""
    t = np.linspace(0, 1, FRAMES)
    one = np.ones(FRAMES)
    tight = lane is not None
    x = rng.uniform(24, 40)
    y = lane + rng.uniform(-2, 2) if tight else rng.uniform(24, 40)
    xs, ys, rs, angle = x * one, y * one, r * one, 0 * one
    far = rng.uniform(26, 32)
    if motion in ("left", "right"):
        a = 32 - far / 2 + rng.uniform(-2, 2)
        xs = a + far * t if motion == "right" else 64 - a - far * t
    elif motion in ("up", "down"):
        a = 32 - far / 2 + rng.uniform(-2, 2)
        ys = a + far * t if motion == "down" else 64 - a - far * t
    elif motion == "bounce":
        floor = 62 - r - rng.uniform(0, 3)
        ys = floor - rng.uniform(20, 25) * np.abs(np.cos(np.pi * t))
    elif motion == "grow":
        rs = r * (0.65 + 0.8 * t)
    elif motion == "shrink":
        rs = r * (1.45 - 0.85 * t)
    elif motion == "spin":
        angle = rng.choice([-1, 1]) * rng.uniform(0.9, 1.2) * np.pi * t
    return xs, ys, rs, angle


def make_thing(rng, shape, colour, size, motion, lane=None):
    r = SIZES[size][1] * rng.uniform(0.93, 1.07)
    if lane is not None:
        r *= 0.8
    return Thing(shape, colour, size, motion, *move(rng, motion, r, lane))


def pick(rng, words):
    return words[rng.integers(len(words))]


def phrase(rng, thing, full):
    noun = pick(rng, SHAPES[thing.shape])
    words = [thing.colour, noun]
    if full or rng.uniform() < 0.75:
        words = [pick(rng, SIZES[thing.size][0])] + words
    article = "an" if words[0][0] in "aeiou" else "a"
    return f"{article} {' '.join(words)}", pick(rng, MOTIONS[thing.motion])


def caption(rng, things, kind, word, full=False):
    """A sentence for the scene; unless `full`, it may leave out the size or the ground."""
    where = {
        "plain": ["on a plain {} ground", "on a {} ground"],
        "stripes": ["over {} stripes", "on {} stripes"],
        "gradient": ["over a {} gradient", "on a {} gradient"],
    }
    place = pick(rng, where[kind]).format(word)
    who = " and ".join(" ".join(phrase(rng, t, full)) for t in things)
    if full:
        return f"{who} {place}"
    if rng.uniform() < 0.2:
        text = who
    else:
        text = f"{place}, {who}" if rng.uniform() < 0.25 else f"{who} {place}"
    if rng.uniform() < 0.15:
        text = f"a video of {text}" if not text.startswith("o") else text
    if rng.uniform() < 0.2:
        text = text[0].upper() + text[1:] + "."
    return text


def random_thing(rng, lane=None, motions=MOTION_NAMES, avoid=None):
    while True:
        shape, colour = pick(rng, SHAPE_NAMES), pick(rng, COLOUR_NAMES)
        size, motion = pick(rng, list(SIZES)), pick(rng, motions)
        if colour != avoid and not held_out(shape, colour, motion):
            return make_thing(rng, shape, colour, size, motion, lane)


def scene(rng, two=0.1):
    kind, word = pick(rng, KINDS), pick(rng, list(GROUNDS))
    if rng.uniform() < two:  # two things in two lanes, side motions only
        allowed = ["left", "right", "still", "spin"]
        a = random_thing(rng, 17, allowed)
        things = [a, random_thing(rng, 47, allowed, a.colour)]
        if rng.uniform() < 0.5:
            things.reverse()
    else:
        things = [random_thing(rng)]
    return things, kind, word


def every_word():
    """Each phrase of the grammar once, for the tokenizer."""
    lists = list(SHAPES.values()) + [w for w, _ in SIZES.values()] + list(MOTIONS.values())
    words = [w for part in lists for w in part] + COLOUR_NAMES + list(GROUNDS)
    words += ["on a plain ground", "over stripes", "on a gradient", "and", "a video of"]
    return [v for w in words for v in (w, w[0].upper() + w[1:])]


def clip(seed, n_captions=1):
    """-> frames f32 [17, 64, 64, 3] in 0..1, captions (several wordings of the same clip), things"""
    rng = np.random.default_rng([20240607, seed])
    things, kind, word = scene(rng)
    frames = draw(draw_ground(rng, kind, word), things)
    return frames, [caption(rng, things, kind, word) for _ in range(n_captions)], things


def clip_captions(seed, n_captions):
    """Captions alone, for scenes drawn like clip()'s; nothing is drawn."""
    rng = np.random.default_rng([20240608, seed])
    things, kind, word = scene(rng)
    return [caption(rng, things, kind, word) for _ in range(n_captions)]


def clips(first, count):
    """-> f32 [B, 3, F, H, W] in -1..1, the layout the VAE takes"""
    batch = np.stack([clip(first + i)[0] for i in range(count)])
    return np.ascontiguousarray(batch.transpose(0, 4, 1, 2, 3)) * 2 - 1


def main():
    from PIL import Image

    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--sheet", help="write a contact sheet of clips")
    p.add_argument("--example", help="write the first frame that models/demo ships")
    p.add_argument("--seed", type=int, default=0)
    args = p.parse_args()
    if args.example:
        rng = np.random.default_rng(3)
        thing = make_thing(rng, "ball", "red", "large", "right")
        frames = draw(draw_ground(rng, "plain", "sand"), [thing])
        Image.fromarray((frames[0] * 255 + 0.5).astype(np.uint8)).save(args.example)
    if not args.sheet:
        return
    rows = []
    for i in range(12):
        frames, texts, _ = clip(args.seed + i)
        print(i, texts[0])
        rows.append(np.concatenate(list(frames[::2]), axis=1))
    Image.fromarray((np.concatenate(rows) * 255).astype(np.uint8)).save(args.sheet)


if __name__ == "__main__":
    main()
