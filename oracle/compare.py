"""What people use today, held to the same records: for each tool the median of its error, and how often it is far too low.

Usage: oracle/gpu/.venv/bin/python oracle/compare.py [--peakmem build/peakmem]

Records are those of oracle/records that any of these tools can be asked about: a whole causal or masked language model on one GPU,
trained by AdamW, with a peak of 1 GiB at least. What each tool gives is its own code's answer, from the environment of the second
oracle; a tool that knows no activations gives what it gives.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "gpu"))
import device  # noqa: E402,F401  the stand-in, without which that torch does not load

RECORDS = pathlib.Path(__file__).resolve().parent / "records"
# What these tools cannot be asked for: kernels, ranks, adapters, other loops.
BEYOND = {"lora", "quantize", "ranks", "hsdp", "kernels", "trainer", "objective", "freeze", "autocast", "init", "evaluate"}
TASKS = ("causal-lm", "masked-lm")


def peak_of(record):
    return max(phase["peak"] for phase in record["phases"])


def chosen():
    """Records that every tool has an answer for, each with the peak that PyTorch has."""
    for path in sorted(RECORDS.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            case = record["case"]
            if BEYOND & case.keys() or case["task"] not in TASKS or not case["optimizer"].startswith("adamw/"):
                continue
            if peak_of(record) >= 1 << 30:
                yield record, line


def by_accelerate(record):
    """accelerate estimate-memory, "Training using Adam", of the dtype that the run has."""
    from accelerate.commands.estimate import estimate_training_usage

    precision = record["case"]["precision"]
    mixed = {"fp32": "float32"}.get(precision, "float16" if precision.startswith("fp16") else "bfloat16")
    return max(estimate_training_usage(4 * record["parameters"], mixed).values())


def by_deepspeed(record):
    """DeepSpeed's estimate_zero2_model_states_mem_needs on one GPU, nothing offloaded."""
    from deepspeed.runtime.zero.stage_1_and_2 import estimate_zero2_model_states_mem_needs

    return estimate_zero2_model_states_mem_needs(record["parameters"], 1, 1, cpu_offload=False)[1]


def by_peakmem(line, program):
    """The error of the worse of a record's two steps, as `peakmem accuracy --json` has it."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write(line)
        file.flush()
        told = subprocess.run([program, "accuracy", file.name, "--json"], capture_output=True, text=True, check=True)
    (group,) = json.loads(told.stdout)["groups"]
    return group["worst_error"]


def row(name, errors):
    low = sum(error < -0.2 for error in errors)
    return f"| {name} | {statistics.median(map(abs, errors)):.1%} | {max(errors, key=abs):+.1%} | {low} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peakmem", default="build/peakmem", help="the program")
    options = parser.parse_args()
    records, lines = zip(*chosen())
    print(f"{len(records)} records\n\n| | median error | worst | too low by more than 20 % |\n|---|---|---|---|")
    for name, tool in (("accelerate estimate-memory", by_accelerate), ("DeepSpeed's estimator", by_deepspeed)):
        print(row(name, [tool(record) / peak_of(record) - 1 for record in records]))
    print(row("peakmem", [by_peakmem(line, options.peakmem) for line in lines]))


if __name__ == "__main__":
    main()
