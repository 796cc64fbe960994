"""What a trace's file says of memory, evaluated here once more: the core is not asked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any


@dataclass
class Levels:
    """Bytes at the start, the peak and the end of a phase, and what lives at the peak by category."""

    name: str
    step: int
    micro: int
    start: int
    peak: int
    end: int
    at_peak: dict[str, int]


def levels_of(members: dict[str, Any]) -> list[Levels]:
    """Every phase of a trace whose sizes are numbers and whose turns run once."""
    storages, found = members["storages"], []
    live: Counter[int] = Counter()  # what is made once more lives twice until the first is let go
    level = 0
    for step, micro, name, first, last, *_ in members["phases"]:
        phase = Levels(name, step, micro, level, level, level, {})
        for segment in range(first, last):
            begin, end, _ = members["segments"][segment]
            for event in members["events"][begin:end]:
                size = storages[abs(event) - 1][0]
                if event > 0:
                    live[event] += 1
                    assert live[event] <= 2
                    level += size
                else:
                    live[-event] -= 1
                    assert live[-event] >= 0
                    level -= size
                if level > phase.peak:
                    phase.peak = level
                    phase.at_peak = _by_category(storages, live)
        phase.end = level
        found.append(phase)
    return found


def _by_category(storages: list[Any], live: Counter[int]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for number, times in live.items():
        size, category = storages[number - 1][0], storages[number - 1][4]
        sums[category] = sums.get(category, 0) + size * times
    return sums


def phases_of(members: dict[str, Any], step: int) -> dict[str, Levels]:
    """One step's phases by name."""
    return {each.name: each for each in levels_of(members) if each.step == step}
