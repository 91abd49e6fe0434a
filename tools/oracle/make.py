"""Write the goldens: make.py [NAME ...] [--out tests/golden]

A golden called X is written by golden_X.py beside this file, whose make(folder) gets tests/golden/X.
Without names all of them are made. The folder is emptied first.
"""

import argparse
import glob
import importlib
import os
import shutil

import golden

HERE = os.path.dirname(os.path.abspath(__file__))


def names():
    found = glob.glob(os.path.join(HERE, "golden_*.py"))
    return sorted(os.path.basename(path)[len("golden_") : -len(".py")] for path in found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="*", choices=[[], *names()], help="which goldens; default all")
    parser.add_argument("--out", default=os.path.join(HERE, "..", "..", "tests", "golden"))
    args = parser.parse_args()
    golden.settle()
    for name in args.name or names():
        folder = os.path.join(os.path.abspath(args.out), name)
        module = importlib.import_module(f"golden_{name}")
        if getattr(module, "MISSING", None):
            print(f"{name}: left as it is, {module.MISSING}")
            continue
        shutil.rmtree(folder, ignore_errors=True)
        module.make(folder)
        print(f"{name}: {sum(len(files) for _, _, files in os.walk(folder))} files")


if __name__ == "__main__":
    main()
