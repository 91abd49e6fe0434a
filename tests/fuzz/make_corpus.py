"""Write the seed files below corpus/: small valid files and the malformed kinds the specs name."""

import pathlib
import pickletools
import struct
import zlib
import zipfile

HERE = pathlib.Path(__file__).parent
GOLDEN = HERE.parent / "golden" / "formats"


def put(folder, name, data):
    path = HERE / "corpus" / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def tensor(name, dtype, shape, begin, end):
    return f'"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{begin},{end}]}}'


def safetensors():
    def file(name, header, data):
        put("safetensors", name, struct.pack("<Q", len(header)) + header.encode() + bytes(range(data)))

    put("safetensors", "types", (GOLDEN / "types.safetensors").read_bytes())
    file("empty", "{}", 0)
    file("two", '{"__metadata__":{"format":"pt","\\u00e9":"\\n"},' + tensor("a.weight", "F32", [2, 3], 0, 24)
         + "," + tensor("b", "BF16", [], 24, 26) + "}  ", 26)
    file("zero", "{" + tensor("z", "F32", [0, 7], 0, 0) + "," + tensor("f4", "F4", [4], 0, 2) + "}", 2)
    file("extra", '{"a":{"x":[{"y":[null,true,1e5]}],"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1)
    file("overlap", "{" + tensor("a", "U8", [2], 0, 2) + "," + tensor("b", "U8", [2], 1, 3) + "}", 3)
    file("huge", "{" + tensor("a", "I32", [2, 2**63 - 1], 0, 4) + "}", 4)
    file("duplicate", "{" + tensor("a", "U8", [1], 0, 1) + "," + tensor("a", "U8", [1], 1, 2) + "}", 2)
    put("safetensors", "long", b"\xff" * 8 + b"{}")
    put("safetensors", "pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")


def json_scan():
    put("json_scan", "kinds", '{"a":[1,-2.5e-3,true,false,null,"x\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude42"],"b":{}}')
    put("json_scan", "deep", "[" * 64 + "]" * 64)
    put("json_scan", "deeper", "[" * 65 + "]" * 65)
    put("json_scan", "utf8", '"é🙂\u0080\uffff"')
    put("json_scan", "numbers", "[0,-0,1e999,18446744073709551616,0.1,1E+2,123456789012345678901234567890]")
    put("json_scan", "vocab", '{"model":{"vocab":[["<pad>",0.0],["\\u2581a",-13.590115547180176]],"merges":["a b","c d"]}}')
    put("json_scan", "broken", '{"a":1,}')
    put("json_scan", "surrogate", '"\\ud800x"')


def npy():
    for name in ["c_f4", "big_i2", "fortran", "rank0", "v2", "v3", "c_b1", "objects", "structured", "empty", "c_u8"]:
        put("npy", name, (GOLDEN / f"{name}.npy").read_bytes())
    header = "{'descr': '<f4', 'fortran_order': True, 'shape': (2L, 1,), }\n"
    put("npy", "python2", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(8))


def camera_path():
    put("camera_path", "text", (GOLDEN.parent / "camera/paths/path.txt").read_bytes())
    for name, words in [("moves", "fov:60,pan-left:30,dolly-in:2+tilt-up,orbit:90:1.5"), ("hold", "hold,roll-right:1e2"),
                        ("bad", "pan-left:,+,orbit::,zoom")]:
        put("camera_path", name, words.encode())


def npz():
    folder = HERE.parent / "golden" / "formats_npz"
    for name in ["plain", "packed", "objects"]:
        put("npz", name, (folder / f"{name}.npz").read_bytes())


def model_index():
    put("model_index", "wan", '{"_class_name":"WanPipeline","_diffusers_version":"0.42.1","boundary_ratio":0.875,'
        '"transformer":["diffusers","WanTransformer3DModel"],"transformer_2":[null,null],'
        '"vae":["diffusers","AutoencoderKLWan"]}')
    put("model_index", "custom", '{"_class_name":["pipeline","MyPipeline"],"a":[1,2],"n":1000000000000000019884624838656}')
    put("model_index", "bad", '{"_class_name":"X","vae":[null,"Y"],"../x":["a","b"]}')
    put("model_index", "shards", 's{"metadata":{"total_size":12.0},"weight_map":{"a":"m-00001-of-00002.safetensors",'
        '"b":"m-00002-of-00002.safetensors","c":"m-00001-of-00002.safetensors"}}')
    put("model_index", "escape", 's{"weight_map":{"a":"../x.safetensors"}}')


TORCH = HERE.parent / "golden" / "formats_torch"


def pickles():
    for name in ["strides", "wrapped", "parameters", "types"]:
        with zipfile.ZipFile(TORCH / f"{name}.pth") as archive:
            put("pickle", name, archive.read(f"{name}/data.pkl"))
    stacked = (TORCH / "stacked_module.pth").read_bytes()
    begin = 0
    for _ in range(3):  # magic number, protocol, system: the fourth pickle is the object
        begin += 1 + [at for op, _, at in pickletools.genops(stacked[begin:]) if op.name == "STOP"][0]
    end = begin + 1 + [at for op, _, at in pickletools.genops(stacked[begin:]) if op.name == "STOP"][0]
    put("pickle", "stacked", stacked[begin:end] + b"." * (1 - (end - begin) % 2))  # odd length: see the target
    put("pickle", "pairs", b"\x80\x02ccollections\nOrderedDict\n]](U\x01ke]a\x85R.")
    put("pickle", "system", b"\x80\x02cos\nsystem\n(U\x02lstR.")
    put("pickle", "numbers", b"\x80\x02](K\x01M\x01\x02J\xff\xff\xff\xff\x8a\x02\x00\x80G?\xf0\0\0\0\0\0\0N\x88\x89\x8fe.")
    put("pickle", "cycle", b"\x80\x02}q\x00U\x01kh\x00s.")


def torch():
    put("torch", "zip", (TORCH / "compiled.pth").read_bytes())
    put("torch", "stacked", (TORCH / "stacked_module.pth").read_bytes())


def weights(folder, name, *tensors, metadata=""):
    """A safetensors file of (key, dtype, shape, bytes)."""
    items, data = [metadata] if metadata else [], b""
    for key, dtype, shape, content in tensors:
        items.append(tensor(key, dtype, shape, len(data), len(data) + len(content)))
        data += content
    header = "{" + ",".join(items) + "}"
    put(folder, name, struct.pack("<Q", len(header)) + header.encode() + data)


def lora():
    def pair(stem, down, up):
        return (stem + down, "F32", [2, 3], bytes(24)), (stem + up, "F32", [4, 2], bytes(32))

    note = '{\\"transformer.r\\":2,\\"transformer.lora_alpha\\":8,\\"transformer.use_rslora\\":true,' \
        '\\"transformer.alpha_pattern\\":{\\"^blocks.0.a\\":2,\\"b\\":4}}'
    weights("lora", "peft", *pair("transformer.blocks.0.a", ".lora_A.weight", ".lora_B.weight"),
            metadata='"__metadata__":{"lora_adapter_metadata":"' + note + '"}')
    weights("lora", "kohya", *pair("lora_unet_blocks_0_a", ".lora_down.weight", ".lora_up.weight"),
            ("lora_unet_blocks_0_a.alpha", "F16", [], b"\0\x3c"))
    weights("lora", "native", *pair("diffusion_model.x.0.a", ".lora_A.weight", ".lora_B.weight"),
            ("diffusion_model.n.diff", "BF16", [2], bytes(4)), ("diffusion_model.n.diff_b", "F32", [2], bytes(8)))
    weights("lora", "old", *pair("unet.m.processor.to_out", "_lora.down.weight", "_lora.up.weight"), ("odd", "U8", [1], b"1"))
    weights("lora", "two", *pair("transformer_2.a", ".lora_A.weight", ".lora_B.weight"), ("transformer.a.lora_B.bias", "F32", [1], bytes(4)))
    weights("lora", "loha", ("a.hada_w1_a", "F32", [1], bytes(4)))


def checkpoint():
    def file(name, *tensors, metadata=""):
        weights("checkpoint", name, *tensors, metadata=metadata)

    state = b'{"quant_type":"nf4","blocksize":64,"dtype":"bfloat16","shape":[2,64]}'
    nested = state[:-1] + b',"nested_blocksize":256,"nested_dtype":"float32","nested_offset":0.5}'
    file("nf4", ("w", "U8", [64, 1], bytes(64)), ("w.absmax", "F32", [2], bytes(8)), ("w.quant_map", "F32", [16], bytes(64)),
         ("w.quant_state.bitsandbytes__nf4", "U8", [len(state)], state))
    file("nested", ("w", "U8", [64, 1], bytes(64)), ("w.absmax", "U8", [2], bytes(2)), ("w.nested_absmax", "F32", [1], bytes(4)),
         ("w.nested_quant_map", "F32", [256], bytes(1024)), ("w.quant_state.bitsandbytes__nf4", "U8", [len(nested)], nested))
    file("int8", ("x.weight", "I8", [2, 3], bytes(6)), ("x.SCB", "F32", [2], bytes(8)), ("x.weight_format", "U8", [], b"\0"))
    quant = b'{"format":"float8_e4m3fn","full_precision_matrix_mult":false}'
    file("fp8", ("x.weight", "F8_E4M3", [2, 3], bytes(6)), ("x.weight_scale", "F32", [], struct.pack("<f", 0.5)),
         ("x.comfy_quant", "U8", [len(quant)], quant), ("scaled_fp8", "F8_E4M3", [0], b""),
         metadata='"__metadata__":{"_quantization_metadata":"{\\"layers\\":{\\"x\\":{\\"format\\":\\"float8_e4m3fn\\"}}}"}')
    put("checkpoint", "gguf", (HERE / "corpus" / "gguf" / "cut").read_bytes())
    put("checkpoint", "torch", (TORCH / "compiled.pth").read_bytes())


def gguf():
    def string(text):
        return struct.pack("<Q", len(text)) + text.encode()

    def file(name, pairs, infos, data, version=3):
        head = struct.pack("<4sIQQ", b"GGUF", version, len(infos), len(pairs)) + b"".join(pairs) + b"".join(infos)
        put("gguf", name, head + bytes(-len(head) % 32) + data)

    def info(name, dims, kind, offset):
        return string(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)

    file("plain", [string("general.architecture") + struct.pack("<I", 8) + string("wan")],
         [info("a", (2, 3), 0, 0), info("b", (32, 2), 8, 32), info("c", (256,), 12, 128)], bytes(272))
    file("cut", [string("comfy.gguf.orig_shape.w") + struct.pack("<IIQ4i", 9, 5, 4, 2, 2, 8, 8), string("t.f") + struct.pack("<If", 6, 0.5),
                 string("s") + struct.pack("<IIQ", 9, 8, 2) + string("x") + string("yz")], [info("w", (256, 1), 14, 0)], bytes(210))
    file("five", [string("general.alignment") + struct.pack("<II", 4, 8), string("b") + struct.pack("<IB", 7, 1)],
         [info("p", (2, 2, 1, 3, 4), 1, 0), info("z", (0,), 0, 0)], bytes(96), version=2)


def png_text():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def file(name, *chunks):
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
        put("png_text", name, b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IEND", b""))

    words = b"a ball\nNegative prompt: b\nSteps: 4, Sampler: Euler, CFG scale: 1, Model: \"x, y\", Seed: 7, Size: 8x8"
    file("plain", chunk(b"tEXt", b"parameters\0" + words), chunk(b"IDAT", b""))
    file("unicode", chunk(b"iTXt", b"parameters\0\0\0en\0k\0caf\xc3\xa9 \xe2\x98\x83"), chunk(b"iTXt", b"snug\0\0\0\0\0{}"))
    file("packed", chunk(b"zTXt", b"snug\0\0x"), chunk(b"iTXt", b"k\0\1\0\0\0x"))


if __name__ == "__main__":
    camera_path()
    png_text()
    gguf()
    lora()
    checkpoint()
    pickles()
    torch()
    safetensors()
    json_scan()
    npy()
    npz()
    model_index()
