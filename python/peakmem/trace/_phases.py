"""The phases of a step, found by what runs: modules, backward passes, optimizers."""

from __future__ import annotations

from dataclasses import dataclass

#: A phase whose name what comes next decides.
OPEN = ""


@dataclass(slots=True)
class Phase:
    """A stretch of events; `micro` is -1 for what happens once a step."""

    name: str
    step: int
    micro: int
    first: int  # event


class Phases:
    """A state machine. After a backward pass or an optimizer's step its phase lasts until something is allocated; what then
    runs before the next module is the input's, before an optimizer's step it is clipping, and before a backward pass
    without any module the forward pass itself.
    """

    def __init__(self) -> None:
        self.list = [Phase("model", 0, -1, 0)]
        self.step, self.micro = 0, 0
        self._over = False  # the last phase did what it is named for
        self._stepped = True  # nothing of the next step has run yet

    @property
    def name(self) -> str:
        return self.list[-1].name

    @property
    def number(self) -> int:
        return len(self.list) - 1

    @property
    def over(self) -> bool:
        """Whether the last phase did what it is named for."""
        return self._over

    @property
    def passes(self) -> bool:
        """Whether a forward or backward pass runs."""
        return self.name in ("forward", "backward", "evaluate")

    def allocates(self, event: int) -> None:
        """Something is about to be allocated as the event of that number."""
        if self._over:
            self.list.append(Phase(OPEN, self.step, self.micro, event))
            self._over = False

    def ready(self) -> None:
        """The model is there, and its optimizer."""
        if self.step == 0:
            if self.name == OPEN:
                self.list.pop()
            self._over = True

    def _begin(self, name: str, event: int) -> None:
        if self._stepped:
            self.step, self.micro, self._stepped = self.step + 1, 0, False
        self.list.append(Phase(name, self.step, self.micro, event))
        self._over = False

    def _close(self, name: str, event: int) -> None:
        """The open phase was this one; without one it is empty."""
        if self.name != OPEN:
            self._begin(name, event)
            return
        start = self.list.pop().first
        self._begin(name, start)

    def forward(self, event: int, training: bool) -> None:
        """A module is called that no other called: in the midst of a pass, as a reference model is, it is part of that."""
        within = ("forward", "backward") if training else ("forward", "backward", "evaluate")
        if self.name in within and not self._over:
            return
        if training:
            self._close("input", event)
            self._begin("forward", event)
            return
        first = self.list.pop().first if self.name == OPEN else event
        self.list.append(Phase("evaluate", self.step, -1, first))
        self._over = False

    def backward(self, event: int) -> None:
        if self.name == OPEN or self._over:
            self._close("forward", event)
        if self.name == "model":
            self._begin("forward", event)
        self._begin("backward", event)

    def backward_ends(self) -> None:
        self.micro += 1
        self._over = True

    def optimizer(self, event: int) -> None:
        """An optimizer steps; the second of two does so in the phase of the first."""
        self.micro = -1
        if self.name == "optimizer":
            self._over = False
        elif self.name == OPEN:
            self.list[-1].micro = -1
            self.list[-1].name = "optimizer" if self.list[-2].name == "optimizer" else "clip"
        if self.name != "optimizer":
            self._begin("optimizer", event)

    def optimizer_ends(self) -> None:
        self._over = self._stepped = True
