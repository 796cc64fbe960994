#!/usr/bin/env python3
"""Measure the memory of PyTorch training steps to the byte, without a GPU.

    measure.py CASES.jsonl|CASE.json|FOLDER... [-o OUT.jsonl] [--trace DIR] [--steps N]

Every case becomes one line of JSON; with --trace also a text file with every
allocation and release.
"""

import argparse
import contextlib
import pathlib
import sys

import device  # first: it loads the fake CUDA device before torch

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import attention
import fused
import count
from count import Counter
from data_parallel import UsedParameters
from jobs import all_apart, check_version, read_cases
from report import make_record, write_trace
from training import run
from values import Values


def measure(case, steps=2):
    """Run a case; returns its record and its log."""
    check_version(case)
    device.install()
    attention.Gpu.capability = case.get("capability", 80)
    counter = Counter(Values() if case.get("image_tokens") else None)
    count.LABELLED = case.get("completion")
    mode = FakeTensorMode(allow_non_fake_inputs=False)
    # Its cache makes outputs anew from sizes and strides, and forgets what a kernel pads behind the last row: the
    # gradient of an attention mask is 32 bytes short whenever it is made again.
    mode.cache_enabled = False
    # Falcon's layers make a tensor of a list's numbers, which in a checkpoint's second run only the thread of the modes can.
    torch.autograd.set_multithreading_enabled(case["config"]["model_type"] != "falcon")
    values = UsedParameters() if "ddp" in (case.get("ranks") or {}) else contextlib.nullcontext()
    with fused.scope(case), mode, values, counter:
        parameters, trainable, managed = run(case, counter, steps)
    return make_record(case, counter, parameters, trainable, managed), counter.log


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("cases", nargs="+", help="CASES.jsonl, CASE.json or a folder of them")
    parser.add_argument("-o", "--output", help="append records to this file (default: print them)")
    parser.add_argument("--trace", help="folder for one text file per case")
    parser.add_argument("--steps", type=int, default=2, help="training steps (default 2)")
    args = parser.parse_args()
    if args.trace:
        pathlib.Path(args.trace).mkdir(parents=True, exist_ok=True)

    def record(name, case):
        record, log = measure(case, args.steps)
        if args.trace:
            (pathlib.Path(args.trace) / f"{name}.txt").write_text(write_trace(case, log))
        return record

    return 1 if all_apart(read_cases(args.cases), record, args.output) else 0


if __name__ == "__main__":
    sys.exit(main())
