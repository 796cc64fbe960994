#!/usr/bin/env python3
"""The names of models' parameters, as named_parameters() gives them: names.py CASES.jsonl... [-o OUT.jsonl]

Every case (its task and config) becomes one line of JSON.
"""

import argparse
import json
import sys

import device  # first: it loads the fake CUDA device before torch

from torch._subclasses.fake_tensor import FakeTensorMode

from cases import build_model
from count import Counter
from measure import read_cases


def names_of(case):
    """The record of a case."""
    whole = {"precision": "fp32", "attention": "eager", **case}
    with FakeTensorMode(allow_non_fake_inputs=False), Counter():
        names = [name for name, _ in build_model(whole).named_parameters()]
    return {"case": case, "names": names}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("cases", nargs="+", help="CASES.jsonl, CASE.json or a folder of them")
    parser.add_argument("-o", "--output", help="append to this file (default: print)")
    args = parser.parse_args()
    device.install()
    out = open(args.output, "a") if args.output else sys.stdout
    for _, case in read_cases(args.cases):
        print(json.dumps(names_of(case), separators=(",", ":")), file=out, flush=True)


if __name__ == "__main__":
    main()
