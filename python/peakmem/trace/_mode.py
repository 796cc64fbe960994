"""The mode that makes tensors fake, and what makes it quick."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import logging
import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch._subclasses import fake_tensor
from torch._subclasses.fake_tensor import FakeTensorMode


def make_mode() -> FakeTensorMode:
    """A mode whose cache, which saves two thirds of a trace's time, keeps nothing that it would make smaller.

    It makes outputs anew from sizes and strides, and forgets what a kernel pads behind the last row: the gradient of an
    attention mask would be 32 bytes short whenever it is made again. Such outputs it is told not to keep.
    """
    mode = FakeTensorMode(allow_non_fake_inputs=False)
    checks = getattr(mode, "_validate_output_for_cache_entry", None)
    bypass = getattr(fake_tensor, "_BypassDispatchCache", None)
    if checks is None or bypass is None or list(inspect.signature(checks).parameters) != PARAMETERS:
        mode.cache_enabled = False
        return mode

    def check(state: Any, key: Any, func: Any, args: Any, kwargs: Any, output: Any) -> None:
        checks(state, key, func, args, kwargs, output)
        if isinstance(output, torch.Tensor) and not func.is_view:
            dense = output.numel() * output.element_size()
            if output.untyped_storage().nbytes() != dense and all(each is not output for each in args):
                raise bypass("memory behind the last row")

    mode.cache_enabled = True
    mode._validate_output_for_cache_entry = check
    return mode


#: What the check of an output is called with, where it is known (torch 2.13).
PARAMETERS = ["state", "key", "func", "args", "kwargs", "output"]


@contextlib.contextmanager
def fresh_cache() -> Iterator[None]:
    """The cache is one for all modes: what is in it was made for other kernels, before and after a trace."""
    FakeTensorMode.cache_clear()
    try:
        yield
    finally:
        FakeTensorMode.cache_clear()


@contextlib.contextmanager
def failures_told_once() -> Iterator[None]:
    """torch logs every op that its shape function refuses; a trace says so itself, or goes on with another size."""
    log = logging.getLogger(fake_tensor.__name__)
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


@contextlib.contextmanager
def no_search_for_numpy() -> Iterator[None]:
    """Where numpy is not installed, torch looks for it on the disk at every second op; it is told that there is none."""
    if "numpy" in sys.modules or importlib.util.find_spec("numpy") is not None:
        yield
        return
    sys.modules["numpy"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["numpy"]
