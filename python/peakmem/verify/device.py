"""The card that is here, as torch and the driver name it, and as a row of ours."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass

import peakmem

from .._errors import InputError
from .._rows import GpuRow

#: transformers as the core knows it, by the beginning of its version.
VERSIONS = {"4.45": "4.45", "4.46": "4.48", "4.47": "4.48", "4.48": "4.48"}
NEWEST = "5.23"

ASK = """
import json, torch
p = torch.cuda.get_device_properties(0)
print(json.dumps([p.name, p.total_memory, p.major * 10 + p.minor, p.multi_processor_count]))
"""


@dataclass(frozen=True)
class Device:
    """What torch says of device 0."""

    name: str
    memory_bytes: int
    compute_capability: int
    multiprocessors: int


def versions() -> dict[str, str]:
    """Of torch and transformers, which must be here."""
    found = {}
    for name in ("torch", "transformers"):
        try:
            found[name] = importlib.import_module(name).__version__
        except ImportError as error:
            raise InputError(name, f"cannot be imported by {sys.executable}", str(error)) from None
    return found


def look(torch_version: str) -> Device:
    """Asked in another process, so that this one leaves no context on the card."""
    torch = importlib.import_module("torch")
    if torch.version.cuda is None:
        raise InputError("torch", f"{torch_version} is built without CUDA", "install PyTorch's CUDA build")
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        raise InputError("GPU", "torch finds none", last)
    return Device(*json.loads(done.stdout.splitlines()[-1]))


def row_of(device: Device, asked: str | None) -> GpuRow:
    """By name where it is given; else the row with the same multiprocessors and capability, and the nearest memory."""
    rows = peakmem.gpus()
    if asked:
        named = [row for row in rows if asked.lower() in (row.name, *row.aliases.split())]
        if not named:
            raise InputError("--gpu", f"no GPU {asked!r} is known", "peakmem gpus lists them")
        return named[0]
    alike = [
        row
        for row in rows
        if (row.compute_capability, row.multiprocessors) == (device.compute_capability, device.multiprocessors)
        and abs(row.memory_bytes - device.memory_bytes) < device.memory_bytes // 20
    ]
    if not alike:
        raise InputError("GPU", f"{device.name} is not among those that are known", "name the nearest with --gpu")
    return min(alike, key=lambda row: abs(row.memory_bytes - device.memory_bytes))


def transformers_option(version: str) -> str:
    """The version that is modelled: the same, or the newest."""
    return VERSIONS.get(".".join(version.split(".")[:2]), NEWEST)


def used_by_others() -> int | None:
    """Bytes of device 0 in use before anything is run, by nvidia-smi; None where there is none."""
    if not shutil.which("nvidia-smi"):
        return None
    words = ["nvidia-smi", "--id=0", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    number = done.stdout.strip()
    return int(number) * 2**20 if done.returncode == 0 and number.isdigit() else None
