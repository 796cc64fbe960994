"""The GPU that a trace pretends to run on: what programs and kernels' choices ask of it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from .._errors import InputError


@dataclass(frozen=True)
class Gpu:
    """Its name in `peakmem.gpus()`, memory in bytes and compute capability."""

    name: str | None
    title: str
    memory: int
    capability: tuple[int, int]
    multiprocessors: int


#: Where none is named: the compute capability of Hopper, for which everything has a kernel, with the processors of an A100.
ANY = Gpu(None, "any NVIDIA GPU", 1 << 50, (9, 0), 108)


def find_gpu(name: str | None) -> Gpu:
    """One of the core's; InputError where it is not known or no NVIDIA GPU."""
    if name is None:
        return ANY
    from .._api import ask  # the tracer itself runs without the core

    for row in json.loads(ask("gpus", {}))["gpus"]:
        if name in (row["name"], *row["aliases"].replace(",", " ").split()):
            capability = divmod(row["compute_capability"], 10)
            if capability[0] == 0:
                raise InputError("gpu", f"{name} is no NVIDIA GPU", "traces are of CUDA; leave it out for any")
            return Gpu(row["name"], row["title"], row["memory_bytes"], capability, ANY.multiprocessors)
    raise InputError("gpu", f"{name!r} is not known", "peakmem gpus lists them")
