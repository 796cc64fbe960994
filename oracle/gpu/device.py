"""The stand-in for a GPU, chosen before torch asks for it. Import this module before torch, as oracle/device.py."""

import json
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "oracle"))  # cases.py and the rest
sys.path.append(str(ROOT / "python/peakmem/dry_run/child"))  # the stand-in itself, which users have too
os.environ.setdefault("PEAKMEM_CACHE", sys.prefix + "/stand_in")

from peakmem_child import library, values  # noqa: E402

HAS_KERNELS = True  # real libraries run over the stand-in; nothing of theirs has to be stood in for


def find_gpu(name):
    """The row of data/gpus.json with that name or alias."""
    rows = json.loads((ROOT / "data/gpus.json").read_text())
    for row in rows:
        if name.lower() in (row["name"], *row["aliases"]) and row["sm"]:
            return row
    known = ", ".join(row["name"] for row in rows if row["sm"])
    raise SystemExit(f"oracle: no GPU '{name}' in data/gpus.json; one of {known}")


def _load():
    try:
        return library.load(library.folder_of(library.site_packages()))
    except (library.NoStandIn, OSError) as error:
        raise SystemExit(f"oracle: {error}") from None


STAND_IN = _load()


def choose_gpu(name, memory_mib=None, count=1):
    """Be this GPU; only before torch keeps anything about another."""
    row = find_gpu(name)
    memory = memory_mib * 2**20 if memory_mib else row["memory_bytes"]
    os.environ["PEAKMEM_GPU"] = f"{row['title']};{row['sm']};{row['multiprocessors']};{memory};{count}"
    STAND_IN.peakmem_choose()
    return row["name"]


choose_gpu("a100-80gb")

import torch  # noqa: E402
from transformers import masking_utils  # noqa: E402

values.all_is_well(torch)
values.masks_are_full(masking_utils)
values.averages_are_copies(torch.optim.ASGD)
values.nothing_is_masked(torch, STAND_IN)  # as the first oracle has it (count.py, BY_MASK)
# Nothing of the stand-in is lost in a fork: cases are measured in children of a process that may have asked for a GPU.
torch.cuda._is_in_bad_fork = lambda: False


def tiles_are_one():
    """Liger's experts read how many tiles of 128 rows there are, for which they allocate: one, as the first oracle has it."""
    from liger_kernel.ops import fused_moe
    original = fused_moe.compute_routing_metadata

    def metadata(*args, **kwargs):
        STAND_IN.peakmem_answer(1)
        return original(*args, **kwargs)

    fused_moe.compute_routing_metadata = metadata
