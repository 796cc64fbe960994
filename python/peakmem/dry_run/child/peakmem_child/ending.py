"""How a process ends: behind Python C++ takes libraries down while threads of theirs may still run, and a run that went well
would now and then end with a segmentation fault, which a launcher takes for a failure."""

from __future__ import annotations

import atexit
import os
import sys
from typing import Any, List

#: Whether the outcome is written, of a script that no exception has ended.
is_written = False

#: What sys.exit() was given.
_asked: List[Any] = []


def install() -> None:
    """To be called before anybody else registers what is to be done at the end: the first to come is the last to go."""
    atexit.register(leave)
    original = sys.exit

    def leave_with(status: Any = None) -> None:
        _asked.append(status)
        original(status)

    sys.exit = leave_with  # type: ignore[assignment]


def leave() -> None:
    if not is_written or any(_asked):
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
