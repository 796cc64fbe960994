"""What Python knows of values better than 0, and who reads those that nobody knows.

A value that is read from the device is 0 here. That answers "how many?" and "any NaN?" as a healthy run does; two questions
are answered here instead.
"""

from __future__ import annotations

import collections
import ctypes
import sys
from typing import Any, Callable, Dict, Optional, Tuple

from .places import innermost_place, user_place

#: How often a value was read, by where in the user's code, where really, and by what.
Places = Dict[Tuple[str, str, str], int]

#: Of torch.Tensor: what gives the host a value, or a tensor as large as a value says.
READERS = ("__bool__", "__int__", "__float__", "__index__", "item", "tolist", "nonzero", "unique")


def all_is_well(torch: Any) -> None:
    """ "Are all as they should be?": yes. transformers 5.23 would else take positions for packed sequences and build a mask
    (masking_utils.py)."""
    torch.Tensor.all, torch.all = marked(torch.Tensor.all), marked(torch.all)
    torch.Tensor._is_all_true = marked(torch.Tensor._is_all_true)  # of torch._check_tensor_all: images have their places
    torch.Tensor.__bool__, torch.Tensor.item = true_if_marked(torch.Tensor.__bool__), true_if_marked(torch.Tensor.item)


def marked(original: Callable[..., Any]) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)  # with its kernel and its allocation
        result._all_is_well = result.is_cuda
        return result

    return function


def true_if_marked(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def function(self: Any) -> Any:
        return True if getattr(self, "_all_is_well", False) and original(self) is not None else original(self)

    return function


def masks_are_full(masking_utils: Any) -> None:
    """transformers' own "all": the sum of a mask against its number of elements."""
    if hasattr(masking_utils, "fast_all"):
        masking_utils.fast_all = marked(masking_utils.fast_all)


def averages_are_copies(asgd: Any) -> None:
    """torch.optim.ASGD reads whether its mu is 1, which it is for the first million steps: until then the average is a copy."""
    original = asgd._init_group

    def init_group(self: Any, group: Any, params: Any, grads: Any, mus: Any, *rest: Any) -> Any:
        result = original(self, group, params, grads, mus, *rest)
        for mu in mus:
            mu._all_is_well = True  # read as true, which is 1
        return result

    asgd._init_group = init_group


def nothing_is_masked(torch: Any, library: ctypes.CDLL, seen: Optional[Places] = None) -> None:
    """x[mask] reads how many elements are not masked, and its backward pass again: all of them."""
    original = torch.Tensor.__getitem__

    def getitem(self: Any, index: Any) -> Any:
        if not (isinstance(index, torch.Tensor) and index.is_cuda and index.dtype == torch.bool):
            return original(self, index)
        count = index.numel()
        library.peakmem_answer(count)
        result = original(self, index)
        if seen is not None:
            seen[user_place(), innermost_place(), "x[mask], which takes all"] += 1
        if result.grad_fn is not None:
            result.grad_fn.register_prehook(lambda gradients: library.peakmem_answer(count))
        return result

    torch.Tensor.__getitem__ = getitem


def watch(torch: Any, library: ctypes.CDLL) -> Places:
    """Notes the places from which values are read that are not known."""
    seen: Places = collections.defaultdict(int)
    nothing_is_masked(torch, library, seen)
    for name in READERS:
        setattr(torch.Tensor, name, noted(getattr(torch.Tensor, name), name, library, seen))
    return seen


def noted(original: Callable[..., Any], name: str, library: ctypes.CDLL, seen: Places) -> Callable[..., Any]:
    def function(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = library.peakmem_reads()
        result = original(self, *args, **kwargs)
        if library.peakmem_reads() != before and sys.meta_path is not None:  # not while Python ends
            seen[user_place(), innermost_place(), name] += 1
        return result

    return function
