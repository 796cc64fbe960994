"""Layers that do the same, folded: the first and the last as they are, one for all between.

A program's events are cut into runs, each of one block of layers (a block is one layer, or as many as a pattern of
alternating kinds has) or of none. Consecutive runs of one stack, whose blocks go up or down by one, are a chain; in it the
runs between the first blocks and the last ones must do the same. A release names its storage by the chain that made it,
by how many blocks away that was, and by its place in that run.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ._program import LAYER, Program, Row

#: Blocks at either end that stay as they are, and layers a block: what is tried, in this order.
ENDS = ((1, 1), (2, 1), (1, 2), (2, 2))
PERIODS = range(1, 9)

#: What is said of a program that has too few layers.
NO_STACK = "there is no stack of layers"

#: Which blocks a run is of: "once" of none, ("first", i), ("last", i) counted from the end, "mid" for all between.
Where = Any
#: A storage: the chain that made it, which block's, and its place among those the run made.
Slot = tuple[int, Where, int]


@dataclass
class Run:
    """What one block does in one stretch of a chain; `down` if the blocks go down. Events are (slot, True) for a birth, and
    ((chain, blocks away or where, place), False) for a release."""

    stretch: int
    stack: str
    chain: int
    where: Where
    down: bool
    events: list[tuple[Any, bool]]


@dataclass
class Folded:
    """A program whose stacks may have any number of blocks."""

    runs: list[Run]
    rows: dict[Slot, Row]
    blocks: dict[str, int]  # of each stack that is folded, as traced
    period: int
    ends: tuple[int, int]
    program: Program
    reasons: list[str] = field(default_factory=list)

    def where(self, block: int, blocks: int) -> Where:
        return _where(block, blocks, self.ends)

    def layers(self) -> dict[str, int]:
        """How many layers each stack has, as traced."""
        return _counts(self.program)

    def structure(self) -> tuple[Any, ...]:
        """What two programs must have in common to be one with other sizes."""
        rows = ((slot, row.op, row.dtype, len(row.shape), _starred(row.place), row.category) for slot, row in self.rows.items())
        runs = ((each.stretch, each.stack, each.chain, each.where, each.down, tuple(each.events)) for each in self.runs)
        names = tuple((each.name, each.step, each.micro) for each in self.program.stretches)
        return self.period, self.ends, names, tuple(rows), tuple(runs)

    def expand(self, blocks: dict[str, int]) -> Iterator[tuple[int, Slot, bool]]:
        """All events at other numbers of blocks, as (stretch, slot, birth): the slot is the one that the storage is like."""
        live: dict[Any, Slot] = {}
        for run, _, events in self.turns(blocks):
            for key, slot in events:
                if slot is not None:
                    live[key] = slot
                    yield run.stretch, slot, True
                else:
                    yield run.stretch, live.pop(key), False

    def turns(self, blocks: dict[str, int]) -> Iterator[tuple[Run, int | None, list[tuple[Any, Slot | None]]]]:
        """Every run with the block that it is of, and its events: which storage, and the slot of one that is made."""
        counts = {run.chain: blocks.get(run.stack, 0) for run in self.runs}
        for run in self.runs:
            for block in self._blocks(run, blocks.get(run.stack, 0)):
                events: list[tuple[Any, Slot | None]] = []
                for (chain, where, place), birth in run.events:
                    of = block if birth else _absolute(where, block, counts[chain])
                    events.append(((chain, of, place), (chain, where, place) if birth else None))
                yield run, block, events

    def _blocks(self, run: Run, count: int) -> Iterator[int | None]:
        """The blocks that a run is of, in order."""
        low, high = self.ends
        if run.where != "mid":
            yield _absolute(run.where, None, count)
        elif run.down:
            yield from reversed(range(low, count - high))
        else:
            yield from range(low, count - high)


def _where(block: int, blocks: int, ends: tuple[int, int]) -> Where:
    low, high = ends
    if block < low:
        return ("first", block)
    return ("last", blocks - 1 - block) if block >= blocks - high else "mid"


def _absolute(where: Where, block: int | None, blocks: int) -> int | None:
    """The block that a reference means, seen from one."""
    if where == "once":
        return None
    kind, number = where
    if kind == "by":
        assert block is not None
        return block + int(number)
    return int(number) if kind == "first" else blocks - 1 - int(number)


def _stack(place: str) -> tuple[str, int | None]:
    """The stack of layers that a module's path is in, and which layer's it is."""
    found = LAYER.search(place)
    return (place[: found.start()], int(found.group())) if found else ("", None)


def _starred(place: str) -> str:
    return LAYER.sub("*", place, count=1)


def _counts(program: Program) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in program.rows:
        stack, layer = _stack(row.place)
        if layer is not None:
            found[stack] = max(found.get(stack, 0), layer + 1)
    return found


def fold(program: Program) -> Folded | str:
    """The program folded; a text says why it cannot be."""
    counts = _counts(program)
    reason = NO_STACK
    for period, ends in itertools.product(PERIODS, ENDS):
        blocks = {
            stack: -(-count // period)
            for stack, count in counts.items()
            if -(-count // period) >= sum(ends) + 2
        }
        if not blocks:
            break
        folded = _Folding(program, blocks, period, ends).fold()
        if isinstance(folded, Folded):
            return folded
        reason = folded
    return reason


def unfolded(program: Program) -> Folded:
    """The program as it is, without any stack."""
    found = _Folding(program, {}, 1, (1, 1)).fold()
    assert isinstance(found, Folded)
    return found


class _Folding:
    """One attempt, with blocks of so many layers and so many blocks at the ends."""

    def __init__(self, program: Program, blocks: dict[str, int], period: int, ends: tuple[int, int]) -> None:
        self.program, self.blocks, self.period, self.ends = program, blocks, period, ends
        self.named: dict[int, tuple[int, str, int | None, int]] = {}  # row: chain, stack, block, place in its run

    def fold(self) -> Folded | str:
        runs: list[Run] = []
        rows: dict[Slot, Row] = {}
        chain = 0
        for number, stretch in enumerate(self.program.stretches):
            for found in self._chains(number):
                chain += 1
                made = self._chain(number, chain, found, rows)
                if isinstance(made, str):
                    return f"{stretch.name} of step {stretch.step}: {made}"
                runs.extend(made)
        return Folded(runs, rows, self.blocks, self.period, self.ends, self.program)

    def _block(self, place: str) -> tuple[str, int | None]:
        stack, layer = _stack(place)
        return (stack, layer // self.period) if layer is not None and stack in self.blocks else ("", None)

    def _events(self, number: int) -> list[tuple[int, str, int | None]]:
        """A stretch's events with the block that each is of."""
        stretch = self.program.stretches[number]
        found = []
        loose: set[int] = set()  # releases where no layer runs: of the layer that made them, as long as nothing else is known
        for event, place in zip(stretch.events, stretch.places):
            own = self._block(self.program.rows[abs(event) - 1].place)
            here = self._block(place)
            if event < 0 and here[1] is None:
                loose.add(event)
            found.append((event, *(own if event > 0 or here[1] is None else here)))
        found = _sorted_releases(found)
        if stretch.name == "forward":
            _join_what_follows(found, loose)
        _join_interruptions(found)
        return found

    def _chains(self, number: int) -> Iterator[list[tuple[str, int | None, list[int]]]]:
        """Runs of a stretch, those of one stack together while their blocks go by one step."""
        runs: list[tuple[str, int | None, list[int]]] = []
        for event, stack, block in self._events(number):
            if not runs or runs[-1][:2] != (stack, block):
                runs.append((stack, block, []))
            runs[-1][2].append(event)
        at = 0
        while at < len(runs):
            end = at + 1
            while end < len(runs) and self._goes_on(runs[at : end + 1]):
                end += 1
            yield runs[at:end]
            at = end

    @staticmethod
    def _goes_on(runs: list[tuple[str, int | None, list[int]]]) -> bool:
        (stack, block, _), (before, earlier, _) = runs[-1], runs[-2]
        if stack != before or block is None or earlier is None:
            return False
        step = block - earlier
        return abs(step) == 1 and all((b[1] or 0) - (a[1] or 0) == step for a, b in itertools.pairwise(runs))

    def _chain(
        self, number: int, chain: int, found: list[tuple[str, int | None, list[int]]], rows: dict[Slot, Row]
    ) -> list[Run] | str:
        stack = found[0][0]
        count = self.blocks.get(stack, 0)
        down = len(found) > 1 and (found[1][1] or 0) < (found[0][1] or 0)
        made: list[Run] = []
        between = 0
        for _, block, events in found:
            where = "once" if block is None else _where(block, count, self.ends)
            run = self._run(number, chain, stack, block, where, down, events)
            if isinstance(run, str):
                return run
            new = [(slot, self.program.rows[event - 1]) for (slot, birth), event in zip(run.events, events) if birth]
            if where == "mid":
                between += 1
                if between > 1 and (why := _differs(made[-1], run, new, rows)):
                    return f"{stack}{(block or 0) * self.period} {why}"
            if where != "mid" or between == 1:
                made.append(run)
                rows.update(new)
        if between not in (0, count - sum(self.ends)):
            return f"{stack}* does in {between} of {count - sum(self.ends)} turns what it does not in the others"
        return made

    def _run(
        self, number: int, chain: int, stack: str, block: int | None, where: Where, down: bool, events: list[int]
    ) -> Run | str:
        written: list[tuple[Any, bool]] = []
        place = 0
        for event in events:
            if event > 0:
                self.named[event] = (chain, stack, block, place)
                written.append(((chain, where, place), True))
                place += 1
                continue
            of, of_stack, of_block, of_place = self.named[-event]
            if of_block is None:
                written.append(((of, "once", of_place), False))
                continue
            there = _where(of_block, self.blocks[of_stack], self.ends)
            across = where[0] != there[0] and "mid" not in (where, there)  # from one end to the other, however far that is
            if of_stack == stack and block is not None and not across:
                written.append(((of, ("by", of_block - block), of_place), False))
            else:
                if there == "mid":
                    return f"a layer of {of_stack}* ends outside of the stack"
                written.append(((of, there, of_place), False))
        return Run(number, stack, chain, where, down, written)


def _differs(one: Run, other: Run, new: list[tuple[Slot, Row]], rows: dict[Slot, Row]) -> str:
    """What a turn does otherwise than the one before it; nothing if they do the same."""
    if one.where != "mid" or one.events != other.events:
        return "does not do what the layer before it does"
    for slot, row in new:
        known = rows[slot]
        if (row.bytes, row.op, row.shape, row.dtype, row.category) != (
            known.bytes, known.op, known.shape, known.dtype, known.category,
        ):  # fmt: skip
            return f"makes {list(row.shape)} by {row.op}, the layer before it {list(known.shape)} by {known.op}"
    return ""


def _sorted_releases(events: list[tuple[int, str, int | None]]) -> list[tuple[int, str, int | None]]:
    """Releases that follow one another have no order of their own: by when they were made."""
    found: list[tuple[int, str, int | None]] = []
    for birth, group in itertools.groupby(events, lambda each: each[0] > 0):
        found.extend(group if birth else sorted(group, key=lambda each: -each[0]))
    return found


def _join_what_follows(events: list[tuple[int, str, int | None]], loose: set[int]) -> None:
    """What one layer made and is let go right after the next one ran, by the loop over them, is of that next one."""
    for at in range(1, len(events)):
        (event, stack, block), (_, other, latest) = events[at], events[at - 1]
        last = at + 1 == len(events) or events[at + 1][0] > 0
        if event in loose and last and stack == other and None not in (block, latest) and (latest or 0) - (block or 0) == 1:
            events[at] = (event, other, latest)


def _join_interruptions(events: list[tuple[int, str, int | None]]) -> None:
    """Releases in the midst of a block's events are of that block."""
    at = 0
    while at < len(events):
        end = at
        while end < len(events) and events[end][0] < 0 and events[end][1:] == events[at][1:]:
            end += 1
        if end > at > 0 and end < len(events) and events[at - 1][1:] == events[end][1:]:
            for i in range(at, end):
                events[i] = (events[i][0], *events[end][1:])
        at = max(end, at + 1)
