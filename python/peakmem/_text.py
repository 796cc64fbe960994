"""Lines beneath the core's text, laid out as it is."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

WIDTH = 88  # as the core's pages


def section(title: str, lines: Iterable[str]) -> str:
    """A heading and its lines; nothing where there are none."""
    wrapped = [textwrap.fill(line, WIDTH, initial_indent="  ", subsequent_indent="    ") for line in lines]
    return "\n\n" + "\n".join([title, *wrapped]) if wrapped else ""


def first_lines(text: str) -> list[str]:
    """The model and the set-up, as the core's text has them before anything else."""
    return text.split("\n\n", 1)[0].splitlines()
