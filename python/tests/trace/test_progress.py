"""Progress on a terminal past one second."""

from __future__ import annotations

import io

from peakmem.trace._progress import Progress


class Terminal(io.StringIO):
    def __init__(self, is_one: bool) -> None:
        super().__init__()
        self._is_one = is_one

    def isatty(self) -> bool:
        return self._is_one


def said(seconds: list[float], terminal: bool = True) -> str:
    stream, times = Terminal(terminal), iter([0.0, *seconds])
    progress = Progress(stream, lambda: next(times))
    for _ in seconds:
        progress.say("step 1")
    progress.end()
    return stream.getvalue()


def test_nothing_in_the_first_second() -> None:
    assert said([0.1, 0.9]) == ""


def test_a_line_that_is_written_over_and_taken_away() -> None:
    assert said([0.5, 2.0, 2.1, 3.0]) == "\r\x1b[Ktracing: step 1, 2 s\r\x1b[Ktracing: step 1, 3 s\r\x1b[K"


def test_nothing_where_nobody_looks() -> None:
    assert said([5.0, 6.0], terminal=False) == ""
