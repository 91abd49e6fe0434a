"""Pictures that Pillow reads and resizes, and planes that torch resizes.

images/*            files of every kind that snug reads
images.txt, .bin    per file: name, width, height; ImageOps.exif_transpose(open).convert("RGB"), one after the other
rgba.txt, .bin      the same for convert("RGBA")
resize.txt, .bin    filter, channels, width, height, new width, new height; input then output, u8
compose.txt, .bin   operation, its numbers, then input and output pictures: what Pillow and numpy do with them
planes.txt, .bin    mode, channels, height, width, new height, new width; input then output, f32 [C, H, W]
"""

import io
import os
import struct
import zlib

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageOps

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def picture(rng, width, height, channels):
    """Waves, noise and a hard edge: overshoot and rounding both happen."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [127 + 90 * np.sin(x / 7 + i) + 60 * np.cos(y / 5 + 2 * i) for i in range(channels)]
    a = np.stack(planes, -1) + rng.normal(0, 12, (height, width, channels))
    a[height // 2 :, : width // 3] = 255 * (rng.random((channels,)) > 0.5)
    return np.clip(a, 0, 255).astype(np.uint8)


# ---- files ----


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(rng, width, height, depth, colour, extra=b"", interlaced=False):
    """A PNG of random samples in a layout that Pillow cannot write."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = b""
    for x0, y0, dx, dy in passes:
        w, h = len(range(x0, width, dx)), len(range(y0, height, dy))
        for _ in range(h if w else 0):
            rows += b"\0" + rng.integers(0, 256, (w * channels * depth + 7) // 8, dtype=np.uint8).tobytes()
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def png_layouts(rng):
    for colour, depths in {0: (1, 2, 4, 8), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}.items():
        for depth in depths:
            extra = b""
            if colour == 3:
                extra = chunk(b"PLTE", rng.integers(0, 256, 3 << depth, dtype=np.uint8).tobytes())
                extra += chunk(b"tRNS", rng.integers(0, 256, 1 << depth, dtype=np.uint8).tobytes())
            yield f"layout_{colour}_{depth}.png", png(rng, 13, 7, depth, colour, extra)
    yield "interlaced.png", png(rng, 13, 9, 8, 2, interlaced=True)
    yield "one_pixel.png", png(rng, 1, 1, 8, 2)
    yield "key_colour.png", png(rng, 5, 4, 8, 2, chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3)))


def bmp16(rng, width, height, masks):
    row = (width * 16 + 31) // 32 * 4
    data = rng.integers(0, 256, row * height, dtype=np.uint8).tobytes()
    extra = struct.pack("<III", *masks) if masks else b""
    at = 54 + len(extra)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 16, 3 if masks else 0, len(data), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", at + len(data), 0, 0, at) + info + extra + data


def gif(rng, transparent, part):
    """One frame that covers only a part of the canvas of 8 x 6."""
    out = b"GIF89a" + struct.pack("<HHBBB", 8, 6, 0x82, 3, 0) + rng.integers(0, 256, 24, dtype=np.uint8).tobytes()
    if transparent is not None:
        out += b"\x21\xf9\x04" + bytes([1, 0, 0, transparent]) + b"\0"
    out += b"\x2c" + struct.pack("<HHHHB", *part, 0)
    codes = [8]
    for i in range(part[2] * part[3]):
        codes += [8] * (i > 0 and i % 5 == 0) + [(i * 3 + 1) % 8]  # cleared often: codes stay 4 bits wide
    bits = sum(code << (4 * i) for i, code in enumerate([*codes, 9]))
    data = bits.to_bytes((len(codes) + 2) // 2, "little")
    return out + b"\x03" + bytes([len(data)]) + data + b"\0\x3b"


def saved(image, kind, **options):
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def files(rng):
    yield from png_layouts(rng)
    yield "555.bmp", bmp16(rng, 9, 5, None)
    yield "565.bmp", bmp16(rng, 9, 5, (0xF800, 0x7E0, 0x1F))
    yield "part.gif", gif(rng, None, (2, 1, 4, 3))
    yield "part_transparent.gif", gif(rng, 5, (2, 1, 4, 3))
    for w, h in ((37, 29), (16, 8), (2, 3)):
        rgb = Image.fromarray(picture(rng, w, h, 3))
        rgba = Image.fromarray(picture(rng, w, h, 4))
        for mode in ("RGB", "L", "P", "1"):
            yield f"{mode}_{w}.bmp", saved(rgb.convert(mode), "BMP")
        yield f"RGBA_{w}.bmp", saved(rgba, "BMP")
        yield f"plain_{w}.gif", saved(rgb.convert("P"), "GIF")
        yield f"transparent_{w}.gif", saved(rgb.convert("P"), "GIF", transparency=7)
        yield f"lossless_{w}.webp", saved(rgb, "WEBP", lossless=True)
        yield f"lossless_alpha_{w}.webp", saved(rgba, "WEBP", lossless=True, exact=True)
        yield f"lossy_{w}.webp", saved(rgb, "WEBP", quality=80)
        yield f"lossy_alpha_{w}.webp", saved(rgba, "WEBP", quality=80)
        for name, sampling in (("444", 0), ("422", 1), ("420", 2)):
            yield f"{name}_{w}.jpg", saved(rgb, "JPEG", quality=90, subsampling=sampling)
        yield f"progressive_{w}.jpg", saved(rgb, "JPEG", quality=90, progressive=True)
        yield f"grey_{w}.jpg", saved(rgb.convert("L"), "JPEG", quality=90)
        yield f"cmyk_{w}.jpg", saved(rgb.convert("CMYK"), "JPEG", quality=95)
    rgb = Image.fromarray(picture(rng, 11, 6, 3))
    for turn in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        yield f"turn_{turn}.png", saved(rgb, "PNG", exif=exif)
        yield f"turn_{turn}.webp", saved(rgb, "WEBP", lossless=True, exif=exif)
        yield f"turn_{turn}.jpg", saved(rgb, "JPEG", quality=95, subsampling=0, exif=exif)
    packet = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    yield "turn_xmp.jpg", saved(rgb, "JPEG", quality=95, subsampling=0, xmp=packet)
    others = [Image.fromarray(picture(rng, 11, 6, 3))]
    yield "animated.png", saved(rgb, "PNG", save_all=True, append_images=others)
    yield "animated.gif", saved(rgb.convert("P"), "GIF", save_all=True, append_images=[others[0].convert("P")])


WITH_ALPHA = ("layout_3", "layout_4", "layout_6", "lossless_alpha", "lossy_alpha", "turn_6.png")


def make_images(folder, rng):
    os.makedirs(os.path.join(folder, "images"))
    out = {mode: ([], b"") for mode in ("RGB", "RGBA")}
    for name, data in files(rng):
        with open(os.path.join(folder, "images", name), "wb") as f:
            f.write(data)
        for mode in out:
            if mode == "RGBA" and not name.startswith(WITH_ALPHA):
                continue
            image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert(mode)
            lines, pixels = out[mode]
            out[mode] = (lines + [f"{name} {image.width} {image.height}"], pixels + image.tobytes())
    write(folder, "images", *out["RGB"])
    write(folder, "rgba", *out["RGBA"])


# ---- resizing ----

SIZES = [
    ((37, 29), (64, 48)),
    ((37, 29), (13, 7)),
    ((37, 29), (37, 11)),
    ((37, 29), (90, 29)),
    ((200, 3), (7, 5)),
    ((1, 1), (9, 4)),
    ((5, 40), (1, 1)),
    ((32, 32), (16, 16)),
    ((51, 34), (50, 35)),
]


def make_resize(folder, rng):
    lines, data = [], b""
    for channels, mode in ((3, "RGB"), (4, "RGBA"), (1, "L")):
        for (w, h), (to_w, to_h) in SIZES if channels == 3 else SIZES[:3]:
            source = picture(rng, w, h, channels)
            image = Image.fromarray(source[..., 0] if channels == 1 else source, mode)
            for name, kind in FILTERS.items():
                result = image.resize((to_w, to_h), kind)
                lines.append(f"{name} {channels} {w} {h} {to_w} {to_h}")
                data += image.tobytes() + result.tobytes()
    write(folder, "resize", lines, data)


def make_planes(folder, rng):
    lines, data = [], b""
    for (w, h), (to_w, to_h) in SIZES:
        source = torch.from_numpy(rng.uniform(-1, 1, (3, h, w)).astype(np.float32))
        for mode in ("bicubic", "nearest"):
            corners = {"align_corners": False} if mode == "bicubic" else {}
            result = torch.nn.functional.interpolate(source[None], (to_h, to_w), mode=mode, **corners)[0]
            lines.append(f"{mode} 3 {h} {w} {to_h} {to_w}")
            data += source.numpy().tobytes() + result.numpy().tobytes()
    write(folder, "planes", lines, data)


# ---- compositing ----

AREAS = [(37, 23), (1, 1), (2, 7), (64, 5), (5, 3)]


def alphas(rng, width, height):
    """RGBA whose alpha is often 0, 1, 254 or 255."""
    a = picture(rng, width, height, 4)
    special = rng.random((height, width)) < 0.6
    a[..., 3][special] = rng.choice(np.array([0, 1, 254, 255], np.uint8), int(special.sum()))
    return Image.fromarray(a)


def filters(rng, w, h):
    image = Image.fromarray(picture(rng, w, h, 1)[..., 0])
    yield f"edges 0 {w} {h}", image, image.filter(ImageFilter.FIND_EDGES)
    for window in (3, 11):
        yield f"max {window} {w} {h}", image, image.filter(ImageFilter.MaxFilter(window))
    for window in (3, 5):
        yield f"median {window} {w} {h}", image, image.filter(ImageFilter.MedianFilter(window))
    for radius in (0.5, 2, 3.3, 10, 20):
        yield f"blur {radius} {w} {h}", image, image.filter(ImageFilter.GaussianBlur(radius))


def compositions(rng, w, h):
    below, above = alphas(rng, w, h), alphas(rng, w, h)
    yield f"over 0 {w} {h}", [below, above], Image.alpha_composite(below, above)
    for x, y in ((0, 0), (-2, 1), (3, -1), (w, 0)):
        pasted = below.copy()
        pasted.paste(above, (x, y), above.getchannel("A"))
        yield f"paste {x} {w} {h} {y}", [below, above], pasted
    boxed = below.convert("L")
    ImageDraw.Draw(boxed).rectangle([1, 1, w, h - 2 if h > 2 else h], fill=77)
    yield f"fill 77 {w} {h}", [below.convert("L")], boxed
    yield f"grey 0 {w} {h}", [below], below.convert("L")


def make_compose(folder, rng):
    lines, data = [], b""
    for w, h in AREAS:
        for line, image, result in filters(rng, w, h):
            lines.append(line)
            data += image.tobytes() + result.tobytes()
        for line, images, result in compositions(rng, w, h):
            lines.append(line)
            data += b"".join(i.tobytes() for i in images) + result.tobytes()
        sparse = alphas(rng, w, h)
        if w > 2:
            sparse.putalpha(sparse.getchannel("A").point(lambda v: 255 if v == 1 else 0))
        lines.append("bounds " + " ".join(map(str, (0, w, h, *(sparse.getbbox() or (0, 0, 0, 0))))))
        grey = sparse.convert("L")
        lines.append(f"percentile {np.percentile(np.array(grey), 40):.17g} {w} {h}")
        data += sparse.tobytes() + grey.tobytes()
    write(folder, "compose", lines, data)


def write(folder, name, lines, data):
    with open(os.path.join(folder, name + ".txt"), "w", encoding="ascii") as f:
        f.write("\n".join(lines) + "\n")
    with open(os.path.join(folder, name + ".bin"), "wb") as f:
        f.write(data)


def make(folder):
    os.makedirs(folder)
    make_images(folder, np.random.default_rng(1))
    make_resize(folder, np.random.default_rng(2))
    make_planes(folder, np.random.default_rng(3))
    make_compose(folder, np.random.default_rng(4))
