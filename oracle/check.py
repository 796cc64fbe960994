#!/usr/bin/env python3
"""Measure records again and compare: check.py RECORDS.jsonl|TRACE.txt... [--only TEXT]

Says which fields of a record differ, or the first lines of a trace that do.
"""

import argparse
import difflib
import itertools
import json
import pathlib
import sys

from measure import measure  # first: it loads the fake CUDA device
from report import write_trace

# Not `ops`: questions such as `x.device` count too, and say nothing about memory.
FIELDS = "parameters", "trainable", "phases", "peak", "peak_step1"


def compare_record(old):
    """The fields that a new measurement does not repeat."""
    new, _ = measure(old["case"])
    new = json.loads(json.dumps(new))
    return [f"{field}: {_where(old[field], new[field])}" for field in FIELDS
            if field in old and old[field] != new[field]]


def _where(old, new, path=""):
    """The first place where two JSON values differ."""
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
        return next(_where(old[k], new[k], f"{path}.{k}") for k in old if old[k] != new[k])
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return next(_where(a, b, f"{path}[{i}]") for i, (a, b) in enumerate(zip(old, new)) if a != b)
    return f"{path} was {str(old)[:200]}, now {str(new)[:200]}"


def compare_trace(text):
    """The first differing lines of a trace; its phases say how many steps it ran."""
    case = json.loads(text.splitlines()[0].removeprefix("# "))
    steps = int(text.rsplit("=== end of step ", 1)[1].split(",")[0])
    _, log = measure(case, steps)
    new = write_trace(case, log)
    return list(difflib.unified_diff(_ordered(text), _ordered(new), lineterm="", n=1))[:12]


def _ordered(text):
    """Sort releases that follow one another: autocast's cache frees in no fixed order."""
    groups = itertools.groupby(text.splitlines(), lambda line: line.startswith("-"))
    return [line for free, lines in groups for line in (sorted(lines) if free else lines)]


def jobs(paths, only):
    """Yield (name, comparison, its argument)."""
    for path in map(pathlib.Path, paths):
        if path.suffix == ".txt":
            yield path.name, compare_trace, path.read_text()
            continue
        for number, line in enumerate(path.read_text().splitlines()):
            if only in line[:line.index("phases")]:
                yield f"{path.name}:{number + 1}", compare_record, json.loads(line)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("records", nargs="+")
    parser.add_argument("--only", default="", help="only records whose case contains this text")
    args = parser.parse_args()
    same = total = 0
    for name, compare, what in jobs(args.records, args.only):
        try:
            differences = compare(what)
        except Exception as error:
            differences = [f"{type(error).__name__}: {error}"]
        total, same = total + 1, same + (not differences)
        print(f"{name}: {'same' if not differences else 'DIFFERS'}", *differences, sep="\n  ", flush=True)
    print(f"{same} of {total} are the same")
    return 0 if same == total else 1


if __name__ == "__main__":
    sys.exit(main())
