#!/usr/bin/env python3
"""Measure training steps by PyTorch's own caching allocator, on a GPU that is not there.

    measure.py CASES.jsonl|CASE.json|FOLDER... [-o OUT.jsonl] [--gpu NAME] [--alloc-conf CONF] [--snapshot DIR]

Every case becomes one line of JSON; with --snapshot also what torch.cuda.memory._dump_snapshot() writes.
"""

import argparse
import importlib
import importlib.metadata
import pathlib
import sys
import warnings

import device  # first: it chooses the GPU before torch is there

import torch
import transformers

import fused
from jobs import all_apart, check_version, read_lines
import training

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


def one_gpu(asked, lines):
    """The GPU of a whole run: torch keeps its properties from when a library first asks, and children inherit them."""
    names = {asked} if asked else {what.get("gpu", "a100-80gb") for _, what in lines}
    if len(names) > 1:
        raise SystemExit(f"oracle: records of several GPUs, {', '.join(sorted(names))}; measure those of each by themselves")
    return names.pop()


def run_of(case):
    """What runs a case: the oracle's own loop, or under DeepSpeed and FSDP1 a real Trainer (and FSDP1's own loop), of pairs TRL's."""
    ranks = case.get("ranks") or {}
    if case.get("objective") == "dpo" and ("zero" in ranks or ranks.get("real")):
        return importlib.import_module("pairs").run
    for kind in ("zero", "fsdp1"):
        if kind in ranks:
            return importlib.import_module(kind).run
    return training.run


def steps_of(case):
    """Three settle all there is, but of RAdam, which rectifies from its sixth step on."""
    return 6 if case["optimizer"].startswith("radam") else 3


def measure(case, gpu, memory_mib=None, alloc_conf="", steps=None, snapshot=None, stacks="python"):
    """Run a case; returns its record."""
    check_version(case)
    steps = steps or steps_of(case)
    setting = {"gpu": device.choose_gpu(gpu, memory_mib), **({"memory_mib": memory_mib} if memory_mib else {}), "alloc_conf": alloc_conf}
    torch.cuda.init()
    if alloc_conf:
        torch.cuda.memory._set_allocator_settings(alloc_conf)
    if snapshot:
        torch.cuda.memory._record_memory_history(context="all", stacks=stacks, max_entries=10**7)
    meter = Meter()
    meter.phase("model", 0)
    failed = {}
    if case.get("kernels", {}).get("mlp") == "fused":
        device.tiles_are_one()
    with fused.scope(case):
        try:
            run_of(case)(case, meter, steps)
        except torch.cuda.OutOfMemoryError as error:
            failed = {"out_of_memory": str(error).partition(" If reserved")[0]}
            meter.phase("end", steps)
    phases = [phase for phase in meter.phases[:-1] if phase[0] != "rest"]  # nothing comes after "end"
    if snapshot:
        torch.cuda.memory._dump_snapshot(str(snapshot))
    highest = {kind: max(phase[2 + i] for phase in phases) for i, kind in enumerate(STATISTICS)}
    counts = {"retries": torch.cuda.memory_stats()["num_alloc_retries"], "reads": device.STAND_IN.peakmem_reads()}
    return {"case": case, **setting, **highest, **failed, "phases": phases, **counts, "versions": VERSIONS}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("cases", nargs="+", help="CASES.jsonl, CASE.json or a folder of them")
    parser.add_argument("-o", "--output", help="append records to this file (default: print them)")
    parser.add_argument("--gpu", help="a row of data/gpus.json (default: what a record says, or a100-80gb)")
    parser.add_argument("--memory-mib", type=int, help="its memory (default: what a record says, or its own)")
    parser.add_argument("--alloc-conf", help="PYTORCH_ALLOC_CONF (default: what a record says, or none)")
    parser.add_argument("--steps", type=int, help="training steps (default 3, of RAdam 6)")
    parser.add_argument("--snapshot", help="folder for one snapshot per case")
    parser.add_argument("--stacks", choices=["python", "all"], default="python", help="of whom the snapshot tells (all: C++ too)")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    folder = pathlib.Path(args.snapshot) if args.snapshot else None
    if folder:
        folder.mkdir(parents=True, exist_ok=True)

    lines = list(read_lines(args.cases))
    gpu = one_gpu(args.gpu, lines)
    device.choose_gpu(gpu, args.memory_mib)

    def record(name, what):
        memory_mib, alloc_conf = (getattr(args, key) or what.get(key) for key in ("memory_mib", "alloc_conf"))
        return measure(what.get("case", what), gpu, memory_mib, alloc_conf or "", args.steps, folder and folder / f"{name}.pickle", args.stacks)

    return 1 if all_apart(lines, record, args.output) else 0


if __name__ == "__main__":
    sys.exit(main())
