"""A log as a program: which storages there are before the first step, and what each phase of two steps does."""

from __future__ import annotations

import collections
import difflib
import re
from dataclasses import dataclass, field
from typing import Any

import torch

from ._phases import Phase
from ._recorder import Log, Storage

#: Categories by the phase that a storage was made in, where nothing else is known of it.
BY_PHASE = {
    "model": "buffers",
    "input": "inputs",
    "forward": "activations",
    "backward": "temporaries",
    "clip": "temporaries",
    "optimizer": "temporaries",
    "evaluate": "temporaries",
}

#: The number of a layer in a module's path: the first there is.
LAYER = re.compile(r"(?:^|(?<=\.))\d+(?=\.|$)")


@dataclass
class Row:
    """What a storage is, without when it was made."""

    bytes: int
    op: str
    place: str
    category: str
    dtype: str
    shape: tuple[int, ...]
    saved_by: str | None = None
    is_output: bool = False


@dataclass
class Stretch:
    """A phase with its events: numbers of rows from 1, negative for a release."""

    name: str
    step: int
    micro: int
    events: list[int] = field(default_factory=list)
    places: list[str] = field(default_factory=list)  # the module that ran at each event


@dataclass
class Program:
    """What a trace does to memory. The first stretch is the model's: it makes what lives when the first step begins."""

    rows: list[Row]
    stretches: list[Stretch]
    weights: list[tuple[str, bool]]  # path, and whether it is trained
    parameters: int
    trained: int
    steps: int  # that were run
    steady: bool  # the last two of them did the same


def split(place: str) -> tuple[str, int | None]:
    """A path with `*` for the number of its layer, and the number."""
    found = LAYER.search(place)
    if not found:
        return place, None
    return place[: found.start()] + "*" + place[found.end() :], int(found.group())


def category_of(storage: Storage, phases: list[Phase]) -> str:
    if storage.category:
        return storage.category
    if storage.recomputed and storage.saved_by:
        return "activations"
    return BY_PHASE.get(phases[storage.phase].name, "temporaries")


def op_of_node(node: str) -> str | None:
    """The op whose backward a node is: `AddmmBackward0` is `addmm`'s."""
    name = re.sub(r"Backward\d*$", "", node)
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    for known in (snake, f"_{snake}"):
        if hasattr(torch.ops.aten, known):
            return known
    return name or None


def complete_steps(phases: list[Phase], events: int) -> list[tuple[Phase, int]]:
    """The phases of steps that came to their end, each with the event after its last."""
    ends = [each.first for each in phases[1:]] + [events]
    pairs = list(zip(phases, ends))
    stepped = [i for i, (phase, _) in enumerate(pairs) if phase.name in ("optimizer", "evaluate")]
    return pairs[: stepped[-1] + 1] if stepped else []


def events_of(log: Log, phases: list[Phase], step: int, end: int) -> list[Any]:
    """What a step does, for comparison with another step: sizes and origins, and which of its own it lets go."""
    bounds = [each.first for each in phases] + [end]
    born: dict[int, int] = {}
    found: list[Any] = []
    for number, phase in enumerate(phases):
        if phase.step != step:
            continue
        found.append((phase.name, phase.micro))
        gone: list[Any] = []
        for event in log.events[phase.first : bounds[number + 1]]:
            one = log.storage(event)
            if event < 0:
                own = born.get(one.number)
                gone.append((own is not None, own or 0, one.bytes, one.op))
                continue
            found.extend(sorted(gone))  # releases that follow one another have no order of their own
            gone.clear()
            born[one.number] = len(born)
            found.append((one.bytes, one.op, one.dtype, one.shape))
        found.extend(sorted(gone))
    return found


def make_program(log: Log, phases: list[Phase], named: list[tuple[str, Any]]) -> Program:
    """The program of all complete steps; `named` are the parameters."""
    pairs = complete_steps(phases, len(log.events))
    steps = pairs[-1][0].step
    # The first that the next one repeats is as all that follow: after the last of a loop its program lets go of everything.
    found = next((step for step in range(2, steps) if _same(log, phases, step + 1, pairs[-1][1])), None)
    steady = found is not None or steps > 1 and _same(log, phases, steps, pairs[-1][1])
    last = found or steps
    rows, stretches = _written(log, phases, [pair for pair in pairs if 0 < pair[0].step <= last])
    _repeat(rows, stretches)
    _mark_outputs(rows, stretches)
    weights = [(name, bool(each.requires_grad)) for name, each in named]
    counts = [(each.numel(), bool(each.requires_grad)) for _, each in named]
    return Program(
        rows=rows,
        stretches=stretches,
        weights=weights,
        parameters=sum(n for n, _ in counts),
        trained=sum(n for n, trained in counts if trained),
        steps=steps,
        steady=steady,
    )


def make_forward(log: Log, phases: list[Phase]) -> Program:
    """The program of the first forward pass alone, and of what is before it."""
    ends = [each.first for each in phases[1:]] + [len(log.events)]
    before = [(phase, end) for phase, end in zip(phases, ends) if phase.step == 1 and phase.micro == 0 and phase.name != "backward"]
    rows, stretches = _written(log, phases, before)
    return Program(rows, stretches, [], 0, 0, 0, False)


def _written(log: Log, phases: list[Phase], pairs: list[tuple[Phase, int]]) -> tuple[list[Row], list[Stretch]]:
    """Rows and stretches of these phases, after one that makes what lives when the first begins."""
    before = _live_after(log, pairs[0][0].first)
    numbers: dict[int, int] = {}
    rows: list[Row] = []

    def number_of(storage: Storage) -> int:
        if storage.number not in numbers:
            rows.append(_row(storage, phases))
            numbers[storage.number] = len(rows)
        return numbers[storage.number]

    stretches = [Stretch("model", 0, -1, [number_of(each) for each in before], [each.place for each in before])]
    for phase, end in pairs:
        stretch = Stretch(phase.name, min(phase.step, 2), phase.micro)
        for at in range(phase.first, end):
            event = log.events[at]
            number = number_of(log.storage(event))
            stretch.events.append(number if event > 0 else -number)
            stretch.places.append(log.places[at])
        stretches.append(stretch)
    return rows, stretches


def _repeat(rows: list[Row], stretches: list[Stretch]) -> None:
    """What step 2 lets go of step 1's, such as its outputs, is what it makes itself and leaves to the step after it: one row
    stands for both."""
    made: dict[tuple[int, str, int], list[int]] = {}  # by step, phase and micro-batch, in order
    gone: set[int] = set()
    for stretch in stretches:
        made[stretch.step, stretch.name, stretch.micro] = [event for event in stretch.events if event > 0]
        if stretch.step == 2:
            gone |= {-event for event in stretch.events if event < 0}
    alias = {
        number: other
        for (step, name, micro), births in made.items()
        if step == 1
        for number, other in _aligned(births, made.get((2, name, micro), []), rows)
        if number in gone and other not in gone and rows[other - 1].shape == rows[number - 1].shape
    }
    for stretch in stretches:
        stretch.events = [_signed(alias.get(abs(event), abs(event)), event) for event in stretch.events]


def _aligned(ones: list[int], others: list[int], rows: list[Row]) -> list[tuple[int, int]]:
    """What a phase makes in two steps, side by side: where one of them makes more, as loops do before their first step, what they
    have in common."""
    if len(ones) == len(others):
        return list(zip(ones, others))
    one, other = ([_kind(rows[number - 1]) for number in each] for each in (ones, others))
    blocks = difflib.SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
    return [(ones[block.a + i], others[block.b + i]) for block in blocks for i in range(block.size)]


def _kind(row: Row) -> tuple[int, str, str, tuple[int, ...]]:
    return row.bytes, row.op, row.dtype, row.shape


def _signed(number: int, like: int) -> int:
    return number if like > 0 else -number


def _same(log: Log, phases: list[Phase], step: int, end: int) -> bool:
    """Whether a step does what the one before it did; after the last one the program may let go of all else."""
    before, after = (events_of(log, phases, each, end) for each in (step - 1, step))
    if step < max(each.step for each in phases):
        return before == after
    (kept, gone), (kept_after, gone_after) = map(_without_end, (before, after))
    return kept == kept_after and gone <= gone_after


def _without_end(events: list[Any]) -> tuple[list[Any], collections.Counter[Any]]:
    """A step's events without its last releases, and those."""
    last = len(events)
    while last and isinstance(events[last - 1][0], bool):
        last -= 1
    return events[:last], collections.Counter(events[last:])


def _live_after(log: Log, end: int) -> list[Storage]:
    """What lives after so many events, in the order it was made."""
    live: dict[int, Storage] = {}
    for event in log.events[:end]:
        if event > 0:
            live[event] = log.storage(event)
        else:
            del live[-event]
    return list(live.values())


def _row(storage: Storage, phases: list[Phase]) -> Row:
    category = category_of(storage, phases)
    op = {"weights": "parameter", "buffers": "buffer"}.get(category, storage.op)
    saved = category == "activations" and storage.saved_by
    return Row(
        bytes=storage.bytes,
        op=op,
        place=storage.place,
        category=category,
        dtype=storage.dtype,
        shape=storage.shape,
        saved_by=op_of_node(storage.saved_by) if saved else None,
    )


def _mark_outputs(rows: list[Row], stretches: list[Stretch]) -> None:
    """What a forward pass made and the step's last phase has not let go is named by the loop."""
    held: set[int] = set()
    for stretch in stretches:
        for event in stretch.events:
            if event > 0 and stretch.name == "forward":
                held.add(event)
            held.discard(-event)
        if stretch.name == "optimizer":
            for number in held:
                rows[number - 1].is_output = rows[number - 1].category == "activations"
            held.clear()
