#!/usr/bin/env python3
"""Dry runs of the scripts here, really run: their answers are the records that test_records.py reads.

    measure.py FOLDER [--only NAME]

FOLDER has the programs of an environment with the CUDA build of torch (oracle/gpu/.venv/bin; DeepSpeed for `zero3`). This Python
has peakmem.
"""

import argparse
import json
import pathlib
import subprocess
import sys
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent

#: What is asked, and the script with its words; {} is the folder of the programs.
CASES = {
    "nano_gpt": ("--gpu h100-80gb --steps 2", "{}/python nano_gpt.py"),
    "nano_gpt_compiled": ("--gpu a100-80gb --steps 2", "{}/python nano_gpt.py --layers 2 --accumulate 1 --compile"),
    "out_of_memory": ("--gpu t4", "{}/python nano_gpt.py --batch 64"),
    "trainer": ("--gpu a100-80gb", "{}/python trainer.py"),
    "qlora": ("--gpu rtx-4090 --empty-weights", "{}/python qlora.py"),
    "fsdp2": ("--gpu h100-80gb --ranks 8", "{}/python fsdp2.py"),
    "torchrun": ("--gpu h100-80gb --ranks 8 --rank 0,3", "{}/torchrun --nproc-per-node 8 fsdp2.py"),
    "zero3": ("--gpu h100-80gb --ranks 8", "{}/python zero3.py"),
    "accelerate": ("--gpu h100-80gb --ranks 8 --rank 0,last", "{}/accelerate launch --num_processes 8 --num_machines 1 --mixed_precision no fsdp2.py"),
    "deepspeed": ("--gpu h100-80gb --ranks 8 --rank 0,last", "{}/python {}/deepspeed --num_gpus 8 zero3.py"),
}


def named(place: str) -> str:
    """A place without the folders of the machine that it was measured on."""
    return place.rpartition("/site-packages/")[2].rpartition("/scripts/")[2]


def record(answer: dict[str, Any]) -> dict[str, Any]:
    kept = ("rank", "world", "torch", "steps", "allocated", "requested", "reserved", "num_alloc_retries", "values_read")
    processes = []
    for process in answer["processes"]:
        if "allocated" in process:
            failures = [{**failure, "at": named(failure["at"]), "within": named(failure["within"])} for failure in process["out_of_memory"]]
            phases = [list(phase.values()) for phase in process["phases"]]
            processes.append({**{name: process[name] for name in kept}, "out_of_memory": failures, "phases": phases})
    return {**{name: answer[name] for name in ("schema", "verdict", "ranks", "context_bytes")}, "gpu": answer["gpu"]["name"], "processes": processes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("programs")
    parser.add_argument("--only")
    args = parser.parse_args()
    for name, (options, words) in CASES.items():
        if args.only not in (None, name):
            continue
        command = words.replace("{}", args.programs).split()
        asked = [sys.executable, "-m", "peakmem.dry_run", "--json", *options.split(), "--", *command]
        done = subprocess.run(asked, cwd=HERE / "scripts", stdout=subprocess.PIPE, text=True)
        found = {"asked": options, "command": words, **record(json.loads(done.stdout))}
        (HERE / f"records/{name}.json").write_text(json.dumps(found) + "\n")
        print(f"{name}: {found['verdict']}")


if __name__ == "__main__":
    main()
