"""NumPy archives: tests/golden/formats_npz/: as savez and savez_compressed write them."""

import os

import numpy as np


def make(folder):
    os.makedirs(folder)
    arrays = {
        "f4": np.arange(12, dtype="<f4").reshape(3, 4) / 8,
        "f2": np.arange(6, dtype="<f2").reshape(1, 2, 3),
        "i8": np.array([-1, 2**40], "<i8"),
        "b1": np.array([True, False, True]),
        "scalar": np.float64(0.25),
        "nested/name": np.zeros((0, 3), "<f4"),
        "big": np.arange(4, dtype=">f4"),
        "fortran": np.asfortranarray(np.arange(6, dtype="<f4").reshape(2, 3)),
        "column": np.asfortranarray(np.arange(3, dtype="<f4").reshape(3, 1)),
    }
    np.savez(os.path.join(folder, "plain.npz"), **arrays)
    np.savez_compressed(os.path.join(folder, "packed.npz"), f4=arrays["f4"])
    np.savez(os.path.join(folder, "objects.npz"), safe=arrays["f4"], o=np.array([{}], dtype=object))
