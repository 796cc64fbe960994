"""How far a trace has come, on a terminal, once it takes longer than a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

#: Seconds until the first word, and between two.
FIRST, NEXT = 1.0, 0.2


class Progress:
    """One line that is written over; nothing where standard error is no terminal."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream or sys.stderr, clock
        self._begin = clock()
        self._due = self._begin + FIRST
        self._shown = False
        self.what = "tracing"

    def say(self, detail: str) -> None:
        now = self._clock()
        if now < self._due or not self._stream.isatty():
            return
        self._due = now + NEXT
        self._shown = True
        self._write(f"{self.what}: {detail}, {now - self._begin:.0f} s")

    def end(self) -> None:
        """Takes the line away."""
        if self._shown:
            self._write("")

    def _write(self, text: str) -> None:
        self._stream.write(f"\r\x1b[K{text}")
        self._stream.flush()
