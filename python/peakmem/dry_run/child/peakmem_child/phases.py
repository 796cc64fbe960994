"""The phases of training, told by what every loop calls: torch.autograd.backward and an optimizer's step.

What lies between two of these events is named by both. Needs no change to the script.
"""

from __future__ import annotations

import functools
from typing import Any, Callable, Dict, List, Optional, Tuple

from .peaks import Peaks

#: The name of a phase by the event that began it and the one that ends it; "*" is any.
NAMES = {
    ("start", "built"): "model",
    ("start", "backward"): "model and forward",
    ("built", "built"): "model",
    ("backward", "backward ended"): "backward",
    ("backward ended", "stepping"): "before the step",
    ("stepping", "stepped"): "optimizer",
    ("stepped", "stepping"): "optimizer",
    ("*", "backward"): "forward",
    ("*", "end"): "end",
    ("*", "failed"): "until it failed",
    ("*", "*"): "other",
}


class Enough(SystemExit):
    """The steps that were asked for are over; the script ends as if it had called sys.exit()."""


def name_of(began: str, ended: str) -> str:
    pairs = ((began, ended), ("*", ended), ("*", "*"))
    return next(NAMES[pair] for pair in pairs if pair in NAMES)


class Phases:
    """By (device, step, name) the highest allocated, requested and reserved bytes, in the order in which they came."""

    def __init__(self, peaks: Peaks, most_steps: Optional[int] = None) -> None:
        self.peaks, self.most_steps = peaks, most_steps
        self.highest: Dict[Tuple[int, int, str], Tuple[int, ...]] = {}
        self.waiting: Dict[int, Tuple[int, ...]] = {}  # of the phase that is not over
        self.event, self.step, self.depth, self.has_stepped = "start", 1, 0, False
        self.is_over = False
        peaks.before_reset = self.note

    def note(self) -> None:
        for device, values in self.peaks.take().items():
            if not any(values):
                continue  # another rank's
            before = self.waiting.get(device, (0,) * len(values))
            self.waiting[device] = tuple(map(max, before, values))

    def happened(self, event: str) -> None:
        """The phase so far is over."""
        if self.is_over:
            return
        self.note()
        name = name_of(self.event, event)
        if event == "backward" and self.has_stepped:
            if self.most_steps == self.step:
                self.is_over = True
                raise Enough(0)
            self.step, self.has_stepped = self.step + 1, False
        for device, values in self.waiting.items():
            before = self.highest.get((device, self.step, name), (0,) * len(values))
            self.highest[device, self.step, name] = tuple(map(max, before, values))
        self.waiting = {}
        self.event = event

    def around(self, original: Callable[..., Any], begins: str, ends: str) -> Callable[..., Any]:
        """Calls `original` between two events; within another one it is a part of that."""

        @functools.wraps(original)
        def function(*args: Any, **kwargs: Any) -> Any:
            if self.depth == 0:
                self.happened(begins)
            self.depth += 1
            try:
                result = original(*args, **kwargs)
            finally:
                self.depth -= 1
            if self.depth == 0:
                self.happened(ends)
            return result

        return function

    def install(self, torch: Any) -> None:
        torch.autograd.backward = self.around(torch.autograd.backward, "backward", "backward ended")
        optimizer = torch.optim.Optimizer
        built, profiled = optimizer.__init__, optimizer.profile_hook_step

        @functools.wraps(built)
        def init(this: Any, *args: Any, **kwargs: Any) -> None:
            built(this, *args, **kwargs)
            if self.event in ("start", "built"):
                self.happened("built")

        def step(function: Callable[..., Any]) -> Callable[..., Any]:
            inner = self.around(profiled(function), "stepping", "stepped")

            @functools.wraps(function)
            def called(*args: Any, **kwargs: Any) -> Any:
                self.has_stepped = True
                return inner(*args, **kwargs)

            called.hooked = True  # type: ignore[attr-defined]
            return called

        optimizer.__init__, optimizer.profile_hook_step = init, staticmethod(step)

    def rows(self) -> List[List[Any]]:
        """[device, step, name, allocated, requested, reserved] for each."""
        return [[*where, *values] for where, values in self.highest.items()]
