#!/usr/bin/env python3
"""Measure training steps by PyTorch's own caching allocator, on a GPU that is not there.

    measure.py CASES.jsonl|CASE.json|FOLDER... [-o OUT.jsonl] [--gpu NAME] [--alloc-conf CONF] [--snapshot DIR]

Every case becomes one line of JSON; with --snapshot also what torch.cuda.memory._dump_snapshot() writes.
"""

import argparse
import importlib.metadata
import pathlib
import sys
import warnings

import device  # first: it chooses the GPU before torch is there

import torch
import transformers

import fused
from jobs import all_apart, check_version
from training import run

VERSIONS = {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft", "bitsandbytes")}
STATISTICS = ("allocated", "requested", "reserved")


class Meter:
    """What the allocator says of each phase: a list of [name, step, allocated, requested, reserved], the highest of each."""

    category = None  # the first oracle's counter sorts tensors

    def __init__(self):
        self.phases = []

    def phase(self, name, step):
        """The last phase has ended, and this one begins."""
        stats = torch.cuda.memory_stats()
        if self.phases:
            self.phases[-1] += [stats[f"{kind}_bytes.all.peak"] for kind in STATISTICS]
        torch.cuda.reset_peak_memory_stats()
        self.phases.append([name, step])

    def label(self, tensors, category):
        pass


def measure(case, args, snapshot=None):
    """Run a case; returns its record."""
    check_version(case)
    torch.cuda.init()
    if args.alloc_conf:
        torch.cuda.memory._set_allocator_settings(args.alloc_conf)
    if snapshot:
        torch.cuda.memory._record_memory_history(context="all", stacks=args.stacks, max_entries=10**7)
    meter = Meter()
    meter.phase("model", 0)
    with fused.scope(case):
        run(case, meter, args.steps)
    phases = meter.phases[:-1]  # nothing comes after "end"
    if snapshot:
        torch.cuda.memory._dump_snapshot(str(snapshot))
    record = {"case": case, "gpu": args.gpu, **({"memory_mib": args.memory_mib} if args.memory_mib else {}), "alloc_conf": args.alloc_conf}
    record |= {kind: max(phase[2 + i] for phase in phases) for i, kind in enumerate(STATISTICS)}
    stats = torch.cuda.memory_stats()
    return record | {"phases": phases, "retries": stats["num_alloc_retries"], "reads": device.STAND_IN.peakmem_reads(), "versions": VERSIONS}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("cases", nargs="+", help="CASES.jsonl, CASE.json or a folder of them")
    parser.add_argument("-o", "--output", help="append records to this file (default: print them)")
    parser.add_argument("--gpu", default="a100-80gb", help="a row of data/gpus.json (default a100-80gb)")
    parser.add_argument("--memory-mib", type=int, help="its memory, where it shall not be its own")
    parser.add_argument("--alloc-conf", default="", help="PYTORCH_ALLOC_CONF")
    parser.add_argument("--steps", type=int, default=3, help="training steps (default 3)")
    parser.add_argument("--snapshot", help="folder for one snapshot per case")
    parser.add_argument("--stacks", choices=["python", "all"], default="python", help="of whom the snapshot tells (all: C++ too)")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    args.gpu = device.choose_gpu(args.gpu, args.memory_mib)
    folder = pathlib.Path(args.snapshot) if args.snapshot else None
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    return 1 if all_apart(args.cases, lambda name, case: measure(case, args, folder and folder / f"{name}.pickle"), args.output) else 0


if __name__ == "__main__":
    sys.exit(main())
