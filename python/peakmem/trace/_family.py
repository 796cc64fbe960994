"""A factory over sizes: traced at several points, folded, fitted, and proved at the sizes that were asked for."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .._errors import InputError
from ._fit import Fitter, Point
from ._fold import Folded, Slot, fold, unfolded
from ._program import Program
from ._steps import KNOWN

#: Layers that are traced where a letter says how many there are.
DEPTH = 5
#: How often a point is looked for, where the factory makes another program at the first.
TRIES = 4
#: Points where all letters differ, beside those where one does: in which range of the base's values. Sizes are rounded up
#: to 8, 32, 64, so that letters must go far enough to tell.
JOINT = ((0.25, 1), (0.5, 1), (1, 2), (1, 3))
#: How many points more there may be where two formulas fit.
EXTRA = 8
#: Traces at most, so that a factory that takes next to no sizes comes to an end.
TRACES = 64

#: The program at a point, of so many steps, or as many as tell that two are the same.
Tracer = Callable[[Point, "int | None"], Program]


@dataclass
class Family:
    """A program whose sizes are formulas."""

    folded: Folded
    sizes: dict[Slot, str]
    depths: dict[str, str]  # blocks of each stack, as formulas
    at: Point
    units: Point  # what a letter must be a multiple of
    fixed: frozenset[str]  # letters that were not varied
    traces: int
    points: list[Point] = field(default_factory=list)  # where it was traced, all of one structure
    guards: list[str] = field(default_factory=list)  # where it holds, beside what was varied

    def blocks(self, point: Point) -> dict[str, int]:
        return {stack: evaluate(text, point) for stack, text in self.depths.items()}

    def events(self, point: Point) -> list[tuple[int, int]]:
        """(stretch, change in bytes) of every event at a point."""
        bytes_of = {slot: evaluate(text, point) for slot, text in self.sizes.items()}
        expanded = self.folded.expand(self.blocks(point))
        return in_order((stretch, bytes_of[slot] if birth else -bytes_of[slot]) for stretch, slot, birth in expanded)


def evaluate(text: str, point: Point) -> int:
    """A formula's value; it is one of `_fit`'s, or made of those."""
    from fractions import Fraction

    names: dict[str, Any] = {name: Fraction(value) for name, value in point.items()}
    value = Fraction(eval(text, {"__builtins__": {}, "ceil_div": lambda a, b: -((-a) // b)}, names))
    if value.denominator != 1:
        raise InputError("at", f"{text} is no whole number", "choose sizes that divide")
    return int(value)


def told(point: Point) -> str:
    return ", ".join(f"{name} = {value}" for name, value in point.items())


def in_order(events: Any) -> list[tuple[int, int]]:
    """Events with releases that follow one another by size, since they have no order of their own."""
    found: list[tuple[int, int]] = []
    for birth, group in itertools.groupby(events, lambda each: each[1] >= 0):
        found.extend(group if birth else sorted(group))
    return found


def events_of(program: Program) -> list[tuple[int, int]]:
    """(stretch, change in bytes) of every event of a program."""
    return in_order(
        (number, program.rows[abs(event) - 1].bytes * (1 if event > 0 else -1))
        for number, stretch in enumerate(program.stretches)
        for event in stretch.events
    )


def family_of(program: Program) -> Family | str:
    """A single program with its layers folded, whose sizes are numbers; a text says why it cannot be folded."""
    folded = fold(program)
    if isinstance(folded, str):
        return folded
    sizes = {slot: str(row.bytes) for slot, row in folded.rows.items()}
    depths = {stack: str(count) for stack, count in folded.blocks.items()}
    family = Family(folded, sizes, depths, {}, {}, frozenset(), 1)
    return family if family.events({}) == events_of(program) else "unfolded again it is another program"


def make_family(trace: Tracer, at: Point) -> Family:
    """The family of a factory, whose program at `at` is that of a direct trace, event by event."""
    direct = trace(at, None)
    search = _Search(trace, at, direct)
    points, folds = search.points()
    for _ in range(EXTRA):
        fitter, sizes = _fitted(points, folds, search.fixed)
        if not fitter.unsure or not search.one_more(points, folds, JOINT[-1]):
            break
    if fitter.unsure:
        problem = f"traces do not tell these apart: {', '.join(sorted(fitter.unsure)[:4])}"
        raise InputError("at", problem, "choose sizes that are further apart, or trace it at these sizes alone")
    depths = {stack: fitter.number([each.blocks[stack] for each in folds]) or "" for stack in folds[0].blocks}
    if "" in depths.values():
        raise InputError("at", "the number of layers is no multiple of a letter", "let a letter say how many there are")
    family = Family(folds[0], sizes, depths, at, search.units, frozenset(search.fixed), search.traces, points)
    if family.events(at) != events_of(direct):
        raise InputError("at", "the fitted program differs from a direct trace there", "trace it at these sizes alone")
    return family


def confirm(family: Family, trace: Tracer, point: Point) -> None:
    """A direct trace at a point must do what the formulas say, event by event."""
    if family.events(point) != events_of(trace(point, None)):
        problem = f"a direct trace at {told(point)} does otherwise than the formulas say"
        raise InputError("verify", problem, "trace the function at these sizes")


def _fitted(points: list[Point], folds: list[Folded], fixed: set[str]) -> tuple[Fitter, dict[Slot, str]]:
    """The formula of every slot, of the letters that were varied."""
    fitter = Fitter([{name: value for name, value in point.items() if name not in fixed} for point in points])
    found = {slot: fitter.size([each.rows[slot] for each in folds]) for slot in folds[0].rows}
    failed = [folds[0].rows[slot] for slot, size in found.items() if size is None]
    if failed:
        told = "; ".join(f"{row.op} {list(row.shape)} of {row.place or 'the step'}" for row in failed[:3])
        more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
        raise InputError("at", f"no formula fits {told}{more}", "trace it at these sizes alone")
    return fitter, {slot: size for slot, size in found.items() if size is not None}


class _Search:
    """Points of one structure around the sizes that were asked for."""

    def __init__(self, trace: Tracer, at: Point, direct: Program) -> None:
        self.trace, self.at = trace, at
        self.steps = KNOWN if direct.steady and direct.steps == KNOWN + 1 else None
        self.units: Point = {}
        self.fixed: set[str] = set()
        self.traces = 1
        self._random = random.Random(0)
        self._least: Point = {}  # layers, of letters that say how many: fewer do not fold
        folded = fold(direct)
        self._folds = isinstance(folded, Folded)
        self.base = dict(at)
        if isinstance(folded, Folded):
            depths = set(folded.layers().values())
            least = folded.period * (sum(folded.ends) + 2)
            for letter in [name for name, value in at.items() if value in depths]:
                self.base[letter] = min(at[letter], max(DEPTH, least))
                self._least[letter] = min(least, self.base[letter])
        first = direct if self.base == at else self._program(self.base)
        self._first = self._folded(first) if first is not None else None
        if self._first is None:
            self.base, self._first = dict(at), self._folded(direct)

    def _program(self, point: Point) -> Program | None:
        """The program at a point; None where the factory refuses it."""
        if self.traces >= TRACES:
            return None
        self.traces += 1
        try:
            return self.trace(point, self.steps)
        except InputError:
            return None

    def _folded(self, program: Program) -> Folded | None:
        found = fold(program) if self._folds else unfolded(program)
        return found if isinstance(found, Folded) else None

    def _same(self, point: Point) -> Folded | None:
        """The program at a point, if it is one with that at the base but for its sizes."""
        program = self._program(point)
        found = self._folded(program) if program is not None else None
        return found if found and self._first and found.structure() == self._first.structure() else None

    def points(self) -> tuple[list[Point], list[Folded]]:
        assert self._first is not None
        points, folds = [self.base], [self._first]
        for letter in self.at:
            for unit, value in self._values(letter):
                point = {**self.base, letter: value}
                if found := self._same(point):
                    self.units[letter] = unit
                    points.append(point)
                    folds.append(found)
                    break
            else:
                self.fixed.add(letter)
        for span in JOINT:
            self.one_more(points, folds, span)
        if len(points) < len(self.at) - len(self.fixed) + 3:
            raise InputError("at", "the factory makes other programs at nearly all sizes", "trace it at these sizes alone")
        return points, folds

    def one_more(self, points: list[Point], folds: list[Folded], span: tuple[float, float]) -> bool:
        """Adds a point where all letters are random, if one is found."""
        for _ in range(TRIES):
            point = {letter: self._another(letter, *span) for letter in self.at}
            if found := self._same(point):
                points.append(point)
                folds.append(found)
                return True
            self._coarsen(point)
        return False

    def _coarsen(self, point: Point) -> None:
        """Letters that by themselves make another program at their values of a point are varied in larger steps: a width of 81
        may do where one of 77 does not."""
        for letter, unit in self.units.items():
            alone = {**self.base, letter: point[letter]}
            if alone != self.base and self.base[letter] % (2 * unit) == 0 and not self._same(alone):
                self.units[letter] = 2 * unit

    def _values(self, letter: str) -> Iterator[tuple[int, int]]:
        """Other values to try, each with the unit that it is an odd multiple of: the less it divides the better."""
        value = self.base[letter]
        if value < 2:
            return
        units = [1] + [unit for unit in range(2, value + 1) if value % unit == 0 and (unit & (unit - 1) == 0 or unit > 8)]
        for unit in units:
            times = value // unit
            for other in (times * 5 // 8 | 1, times * 3 // 2 | 1):
                if other != times and other * unit >= max(2, self._least.get(letter, 0)):
                    yield unit, other * unit

    def _another(self, letter: str, least: float, most: float) -> int:
        """A value at random, between these multiples of the base's."""
        value = self.base[letter]
        if letter in self.fixed:
            return value
        unit = self.units[letter]
        low = max(int(value * least) // unit, -(-max(2, self._least.get(letter, 0)) // unit))
        return unit * self._random.randint(low, max(int(value * most) // unit, low))
