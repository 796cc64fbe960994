"""Python's and numpy's random numbers, drawn alike in every step: how much SpecAugment masks is drawn by them."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def alike_in_every_step() -> Iterator[Callable[[], None]]:
    """What begins them anew; after the block they go on as if nothing had been drawn."""
    numpy = sys.modules.get("numpy")
    before = random.getstate()
    numpys = numpy.random.get_state() if numpy else None

    def begin() -> None:
        random.seed(0)
        if numpy:
            numpy.random.seed(0)

    try:
        yield begin
    finally:
        random.setstate(before)
        if numpy:
            numpy.random.set_state(numpys)
