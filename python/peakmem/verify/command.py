"""The command line of the verification, and what it prints and writes."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .._errors import InputError
from .._html import units
from .._rows import GpuRow
from . import device
from .cases import Case, cases

SCHEMA = "peakmem-verify/1"
KINDS = ("requested", "allocated", "reserved")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="peakmem verify",
        description="Runs small trainings and a large one on this GPU, and prints our numbers beside PyTorch's.",
        epilog="The file it writes can be given to --context, and to us. Takes a minute or two; the card should be idle.",
    )
    made.add_argument("--gpu", help="our name of the card, where it is not found by itself (peakmem gpus)")
    made.add_argument("--small", action="store_true", help="leave the large case out")
    made.add_argument("-o", "--output", default="peakmem-verify.json", metavar="FILE", help="what is written [%(default)s]")
    return made


def run(case: Case) -> dict[str, Any]:
    """Measured bytes, or the last line of why not."""
    words = [sys.executable, "-m", "peakmem.verify.measure"]
    asked = json.dumps({"config": dict(case.config), "options": dict(case.options)})
    done = subprocess.run(words, input=asked, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]}
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def ours(case: Case, gpu: GpuRow, transformers: str) -> dict[str, int]:
    report = case.estimate(gpu.name, transformers)
    peak = report.peak
    return {
        "requested": peak.allocated_bytes - report.categories.get("rounding", 0),
        "allocated": peak.allocated_bytes,
        "reserved": peak.reserved_bytes,
        "device": peak.device_bytes,
        "context": peak.device_bytes - peak.reserved_bytes,
    }


def theirs(measured: dict[str, Any], others: int | None) -> dict[str, Any]:
    if "failed" in measured:
        return measured
    context = measured["beside"] - (others or 0)
    kept = {kind: measured[kind] for kind in (*KINDS, "retries")}
    return {**kept, "device": measured["reserved"] + context, "context": context, "context_at_first": measured["beside_at_first"] - (others or 0)}


def line(name: str, mine: dict[str, int], real: dict[str, Any]) -> str:
    if "failed" in real:
        return f"{name}\n  not measured: {real['failed']}"
    rows = [f"{name}"]
    for kind in (*KINDS, "device", "context"):
        share = 100 * (mine[kind] - real[kind]) / real[kind] if real[kind] else 0.0
        rows.append(f"  {kind:<12}{units(mine[kind]):>14}{units(real[kind]):>14}{mine[kind] - real[kind]:>+16,} B{share:>+10.3f} %")
    return "\n".join(rows)


def verify(options: argparse.Namespace) -> dict[str, Any]:
    found = device.versions()
    card = device.look(found["torch"])
    gpu = device.row_of(card, options.gpu)
    transformers = device.transformers_option(found["transformers"])
    others = device.used_by_others()
    print(f"{card.name}, as {gpu.name} · torch {found['torch']} · transformers {found['transformers']} as {transformers}")
    print(f"{'':<14}{'ours':>14}{'theirs':>14}{'difference':>18}")
    rows: list[dict[str, Any]] = []
    for case in cases(gpu, transformers):
        if options.small and case.name.startswith("llama of"):
            continue
        mine, real = ours(case, gpu, transformers), theirs(run(case), others)
        print(line(case.name, mine, real), flush=True)
        rows.append({"name": case.name, "config": dict(case.config), "options": dict(case.options), "ours": mine, "theirs": real})
    contexts = [row["theirs"]["context"] for row in rows if "context" in row["theirs"]]
    if others is None:
        print("nvidia-smi is not here: the context includes what other processes have of the card")
    return {
        "schema": SCHEMA,
        "gpu": {**asdict(card), "name": gpu.name, "name_by_torch": card.name, "used_by_others": others},
        **found,
        "context_bytes": {"low": min(contexts), "high": max(contexts)} if contexts else None,
        "cases": rows,
    }


def main(words: Sequence[str]) -> int:
    options = parser().parse_args(words)
    path = Path(options.output)
    try:
        if not path.absolute().parent.is_dir():
            raise InputError("--output", f"there is no folder {path.parent}")
        answer = verify(options)
        path.write_text(json.dumps(answer, indent=1) + "\n")
    except InputError as error:
        print(f"peakmem: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"peakmem: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    print(f"written: {path}")
    return 0
