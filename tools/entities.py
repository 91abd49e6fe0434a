"""Writes src/text/entities.def from Python's html.entities: python tools/entities.py > src/text/entities.def

A row is E(name, code), L(name, code) for names that browsers also take without ';', or
D(name, code, code). Sorted by bytes, packed to 100 columns: it is data, nobody reads it.
"""

import html.entities

HEAD = """/* entities.def  HTML's named characters, made by tools/entities.py: do not edit.
 * E: with ';' only; L: also without; D: two code points. Sorted by the name's bytes. */
"""


def rows():
    names = html.entities.html5
    for name in sorted(n[:-1] for n in names if n.endswith(";")):
        value = names[name + ";"]
        codes = ", ".join(f"0x{ord(c):x}" for c in value)
        assert len(value) <= 2 and (len(value) == 1 or name not in names)
        yield f"{'D' if len(value) == 2 else 'L' if name in names else 'E'}({name}, {codes})"
    assert all(n in names for n in (m + ";" for m in names if not m.endswith(";")))


def main():
    line = ""
    print(HEAD, end="")
    for row in rows():
        if len(line) + 1 + len(row) > 100:
            print(line)
            line = ""
        line += (" " if line else "") + row
    print(line)


if __name__ == "__main__":
    main()
