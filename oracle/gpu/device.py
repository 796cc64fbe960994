"""The stand-in for a GPU, chosen before torch asks for it. Import this module before torch, as oracle/device.py."""

import ctypes
import json
import os
import pathlib
import sys
import sysconfig

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "oracle"))  # cases.py and the rest

HAS_KERNELS = True  # real libraries run over the stand-in; nothing of theirs has to be stood in for


def find_gpu(name):
    """The row of data/gpus.json with that name or alias."""
    rows = json.loads((ROOT / "data/gpus.json").read_text())
    for row in rows:
        if name.lower() in (row["name"], *row["aliases"]) and row["sm"]:
            return row
    known = ", ".join(row["name"] for row in rows if row["sm"])
    raise SystemExit(f"oracle: no GPU '{name}' in data/gpus.json; one of {known}")


LIBRARIES = str(pathlib.Path(sysconfig.get_path("purelib")) / "nvidia/cu13/lib")


def _load():
    library = LIBRARIES + "/libstand_in.so"
    if not os.path.exists(library):
        raise SystemExit(f"oracle: {library} is missing, run oracle/gpu/setup.sh and use its Python")
    return ctypes.CDLL(library)


STAND_IN = _load()
STAND_IN.peakmem_answer.argtypes, STAND_IN.peakmem_answer.restype = [ctypes.c_uint64], None


def choose_gpu(name, memory_mib=None, count=1):
    """Be this GPU; only before torch keeps anything about another."""
    row = find_gpu(name)
    memory = memory_mib * 2**20 if memory_mib else row["memory_bytes"]
    os.environ["PEAKMEM_GPU"] = f"{row['title']};{row['sm']};{row['multiprocessors']};{memory};{count}"
    STAND_IN.peakmem_choose()
    return row["name"]


choose_gpu("a100-80gb")
os.environ["TRITON_LIBCUDA_PATH"] = LIBRARIES  # where it would ask ldconfig

import torch  # noqa: E402
from transformers import masking_utils  # noqa: E402


def _all_is_well():
    """A value is 0 here, which answers "how many?" and "any NaN?" as a healthy run does, but not "are all as they should
    be?": transformers 5.23 would take positions for packed sequences and build a mask (masking_utils.py)."""
    def marked(original):
        def function(*args, **kwargs):
            result = original(*args, **kwargs)  # with its kernel and its allocation
            result._all_is_well = result.is_cuda
            return result
        return function

    def read(original):
        def function(self):
            return True if getattr(self, "_all_is_well", False) and original(self) is not None else original(self)
        return function

    # transformers' own: the sum of a mask against its number of elements.
    if hasattr(masking_utils, "fast_all"):
        masking_utils.fast_all = marked(masking_utils.fast_all)
    torch.Tensor.all, torch.all = marked(torch.Tensor.all), marked(torch.all)
    torch.Tensor.__bool__, torch.Tensor.item = read(torch.Tensor.__bool__), read(torch.Tensor.item)


def _nothing_is_masked():
    """x[mask] reads how many elements are not masked, and its backward pass again: all of them, as the first oracle has
    it (count.py, BY_MASK)."""
    original = torch.Tensor.__getitem__

    def getitem(self, index):
        if not (isinstance(index, torch.Tensor) and index.is_cuda and index.dtype == torch.bool):
            return original(self, index)
        count = index.numel()
        STAND_IN.peakmem_answer(count)
        result = original(self, index)
        if result.grad_fn is not None:
            result.grad_fn.register_prehook(lambda gradients: STAND_IN.peakmem_answer(count))
        return result

    torch.Tensor.__getitem__ = getitem


_all_is_well()
_nothing_is_masked()
# Nothing of the stand-in is lost in a fork: cases are measured in children of a process that may have asked for a GPU.
torch.cuda._is_in_bad_fork = lambda: False
