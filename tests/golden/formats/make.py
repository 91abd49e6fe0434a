"""Make the files beside this script with the reference packages (numpy, safetensors, torch).

Element i of every array is i - 3 (bool: i % 2), in C order, so tests need no second file.
"""

import pathlib

import numpy as np
import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent


def count(shape, dtype):
    values = torch.arange(int(np.prod(shape)), dtype=torch.float64) - 3
    if dtype == torch.bool:
        values = (values + 3) % 2
    return values.reshape(shape).to(dtype)


def tensors():
    types = [torch.float64, torch.int64, torch.float32, torch.int32, torch.bfloat16, torch.float16,
             torch.int16, torch.float8_e4m3fn, torch.float8_e5m2, torch.int8, torch.bool]
    for dtype in types:
        name = str(dtype).removeprefix("torch.")
        yield f"{name}.matrix", count((2, 3), dtype)
        yield f"{name}.vector", count((5,), dtype)
    yield "unsigned", count((7,), torch.float32).abs().to(torch.uint8)
    yield "empty", count((0, 4), torch.float32)
    yield "scalar", count((), torch.float32)
    yield 'odd "name"\\ \n\u00e9', count((1,), torch.float32)


def arrays():
    yield "c_f4", np.arange(6, dtype="<f4").reshape(2, 3) - 3, (1, 0)
    for code in ["<f2", "<f8", "<i1", "<i2", "<i4", "<i8", ">f2", ">f4", ">f8", ">i2", ">i4", ">i8"]:
        name = ("big_" if code[0] == ">" else "c_") + code[1:]
        yield name, (np.arange(6) - 3).astype(code).reshape(2, 3), (1, 0)
    for code in ["u1", "<u2", "<u4", "<u8", ">u4"]:
        yield ("big_" if code[0] == ">" else "c_") + code[-2:], np.arange(6).astype(code).reshape(2, 3), (1, 0)
    yield "c_b1", (np.arange(6) % 2).astype("?").reshape(2, 3), (1, 0)
    yield "fortran", np.asfortranarray(np.arange(24, dtype="<f4").reshape(2, 3, 4) - 3), (1, 0)
    yield "v2", np.arange(6, dtype="<f4").reshape(2, 3) - 3, (2, 0)
    yield "v3", np.arange(6, dtype="<f4").reshape(2, 3) - 3, (3, 0)
    yield "rank0", np.array(-3, dtype="<f4"), (1, 0)
    yield "rank1", np.arange(5, dtype="<f4") - 3, (1, 0)
    yield "rank4", np.arange(120, dtype="<f4").reshape(2, 3, 4, 5) - 3, (1, 0)
    yield "empty", np.zeros((0, 4), dtype="<f4"), (1, 0)
    yield "objects", np.array([{}], dtype=object), (1, 0)
    yield "structured", np.zeros(2, dtype=[("a", "<f4")]), (1, 0)
    yield "complex", np.zeros(2, dtype="<c8"), (1, 0)
    yield "text", np.array(["ab"]), (1, 0)


def main():
    save_file(dict(tensors()), HERE / "types.safetensors", metadata={"format": "pt"})
    for name, array, version in arrays():
        with open(HERE / f"{name}.npy", "wb") as file:
            np.lib.format.write_array(file, array, version=version)


if __name__ == "__main__":
    main()
