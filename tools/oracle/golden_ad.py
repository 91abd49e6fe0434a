"""What the advertisement does between its networks, in Pillow and numpy calls (the service's own steps).

pictures.txt, .bin   step, its numbers; input pictures, then results, u8. Sizes are small where the step allows it.
"""

import os

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

HERE = os.path.dirname(os.path.abspath(__file__))
FONT = os.path.join(HERE, "..", "..", "tests", "golden", "fonts", "latin.ttf")


def smooth(rng, w, h, channels):
    small = Image.fromarray(rng.integers(0, 256, (max(2, h // 9), max(2, w // 9), channels), dtype=np.uint8).squeeze())
    return small.resize((w, h), Image.Resampling.BICUBIC)


def cut_out(picture, soft):
    alpha = soft.resize(picture.size, Image.Resampling.LANCZOS).point(lambda v: 255 if v > 128 else 0)
    out = picture.convert("RGBA")
    out.putalpha(alpha)
    return out


def place_product(background, product):
    side_w, side_h = background.size
    w, h = int(product.width * 0.4), int(product.height * 0.4)
    small = product.resize((w, h), Image.Resampling.LANCZOS)
    x, y = (side_w - w) // 2, int(side_h * 0.55)
    mask = Image.new("L", background.size, 0)
    mask.paste(product.getchannel("A").resize((w, h), Image.Resampling.LANCZOS), (x, y))
    draft = background.convert("RGBA")
    draft.paste(small, (x, y), small)
    return draft.convert("RGB"), mask


def text_guide(text, size):
    font = ImageFont.truetype(FONT, size)
    guide = Image.new("RGB", (1024, 1024), "black")
    draw = ImageDraw.Draw(guide)
    box = draw.textbbox((0, 0), text, font=font)
    draw.text(((1024 - int(box[2] - box[0])) // 2, 100), text, font=font, fill="white")
    return guide, guide.convert("L").filter(ImageFilter.FIND_EDGES).point(lambda v: 255 if v > 30 else 0)


def find_position(background):
    a = np.array(background.convert("L"))
    h, w = a.shape
    dark = a < np.percentile(a, 40)
    cuts = [0, int(h * 0.33), int(h * 0.66), h]
    counts = [int(dark[cuts[i] : cuts[i + 1]].sum()) for i in range(3)]
    best = int(np.argmax(counts))
    return best if max(counts) / (w * h / 3) >= 0.15 else 0


def move_text(text, position):
    box = text.getbbox()
    if not box:
        return text
    seen = text.crop(box)
    w, h = text.size
    y = (100, (h - seen.height) // 2, h - seen.height - 100)[position]
    out = Image.new("RGBA", text.size, (0, 0, 0, 0))
    out.paste(seen, ((w - seen.width) // 2, y))
    return out


def lay_text(background, text):
    mask = text.getchannel("A").resize(background.size, Image.Resampling.LANCZOS).filter(ImageFilter.MaxFilter(11))
    draft = background.convert("RGBA")
    draft.paste(text, (0, 0), text)
    return draft.convert("RGB"), mask


def cutouts(rng, lines, data):
    for (w, h), (mw, mh) in (((61, 47), (32, 32)), ((16, 40), (64, 64)), ((5, 5), (64, 32))):
        picture, soft = smooth(rng, w, h, 3), smooth(rng, mw, mh, 1)
        lines.append(f"cut_out {w} {h} {mw} {mh}")
        data += [picture, soft, cut_out(picture, soft)]


def products(rng, lines, data):
    for (w, h), (pw, ph) in (((96, 80), (60, 50)), ((64, 64), (3, 3)), ((33, 77), (30, 190))):
        background = smooth(rng, w, h, 3)
        product = cut_out(smooth(rng, pw, ph, 3), smooth(rng, pw, ph, 1))
        lines.append(f"product {w} {h} {pw} {ph}")
        data += [background, product, *place_product(background, product)]


def texts(rng, lines, data):
    w, h = 12, 215  # narrow: files stay small, places are 100 px from above and below
    for position in range(3):
        background = smooth(rng, w, h, 3)
        text = cut_out(smooth(rng, w, h, 3), smooth(rng, w, h, 1).point(lambda v: v if v > 60 else 0))
        if position == 1:
            text.putalpha(0)
        moved = move_text(text, position)
        lines.append(f"text {w} {h} {position} {find_position(background)}")
        data += [background, text, moved, *lay_text(background, moved)]


def positions(rng, lines, data):
    for i in range(12):
        w, h = int(rng.integers(1, 24)), int(rng.integers(3, 40))
        background = smooth(rng, w, h, 3) if i else Image.new("RGB", (w, h), "white")
        lines.append(f"position {w} {h} 0 {find_position(background)}")
        data += [background]


def make(folder):
    os.makedirs(folder)
    rng = np.random.default_rng(11)
    lines, data = [], []
    cutouts(rng, lines, data)
    products(rng, lines, data)
    texts(rng, lines, data)
    positions(rng, lines, data)
    guide, edges = text_guide("SALE 50%!", 160)
    box = guide.convert("L").getbbox()
    lines.append("guide " + " ".join(map(str, box)))
    data += [guide.convert("L").crop(box).resize(((box[2] - box[0]) // 4, (box[3] - box[1]) // 4), Image.Resampling.BOX)]
    lines.append(f"edges {sum(1 for v in edges.tobytes() if v)}")
    with open(os.path.join(folder, "pictures.txt"), "w", encoding="ascii") as f:
        f.write("\n".join(lines) + "\n")
    with open(os.path.join(folder, "pictures.bin"), "wb") as f:
        f.write(b"".join(image.tobytes() for image in data))
