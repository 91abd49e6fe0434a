"""Count single tests in a log of meson: count_tests.py NAME testlog.json

Prints what failed and what was skipped and why, one line about NAME, then "PASSED FAILED SKIPPED".
A program that died without naming a failed test counts as one failure.
"""

import json
import re
import sys


def by_reason(skipped):
    """Kernel variants ("X needs avx512") share one line."""
    groups = {}
    for line in sorted(skipped):
        variant = re.fullmatch(r"(\S+) (needs \S+)", line)
        groups.setdefault(variant[2] if variant else line, []).append(variant[1] if variant else "")
    return [(reason, f": {len(names)} kernels: {', '.join(names)}" if names[0] else "") for reason, names in groups.items()]


def main(name, path):
    passed = failed = 0
    skipped, seconds, programs = [], 0.0, 0
    with open(path, encoding="utf-8", errors="replace") as log:
        for entry in map(json.loads, log):
            text = (entry.get("stdout") or "") + (entry.get("stderr") or "")
            programs += 1
            seconds += entry["duration"]
            good = len(re.findall(r"^(?:\[       OK \]|ok     ) |\.\.\. ok$", text, re.M))  # cmocka, unittest
            reasons = sorted(set(re.findall(r"^SKIPPED: (.*)|\.\.\. skipped ['\"](.*)['\"]$", text, re.M)))
            reasons = [ours or theirs for ours, theirs in reasons]
            silent = set(re.findall(r"^(?:\[  SKIPPED \]|skipped) (?!\d+ test)(\S+)", text, re.M))
            skipped += reasons or sorted(f"{test}: gives no reason" for test in silent)
            bad = set(re.findall(r"^(?:\[  FAILED  \] |FAILED  |(?:FAIL|ERROR): (?=test_))(?!\d+ test)(\S+)", text, re.M))
            if entry["result"] == "OK" and not good + len(silent):
                good = 1  # a program that is one test
            elif entry["result"] != "OK" and not bad:
                bad = {f"the program ({entry['result'].lower()}, status {entry['returncode']})"}
            passed += good
            failed += len(bad)
            for test in sorted(bad):
                print(f"FAIL  {name}: {entry['name']}: {test}; see {path[:-5]}.txt")
    for reason, tests in by_reason(set(skipped)):
        print(f"skip  {name}: {reason}{tests}")
    if programs == 0:
        print(f"FAIL  {name}: no test ran")
        failed = 1
    count = f"{passed} passed, {failed} failed, {len(set(skipped))} skipped"
    print(f"{'FAIL' if failed else 'ok'}    {name}: {count} in {programs} programs ({seconds:.0f} s)")
    print(passed, failed, len(set(skipped)))


main(*sys.argv[1:])
