"""A family as a file of the schema peakmem-trace/1: sizes are formulas, layers turns, and the whole is written out for the
replay of the allocator."""

from __future__ import annotations

import collections
from typing import Any

import torch

from ._family import Family, family_of
from ._file import SCHEMA, Scopes, as_json, dtype_of
from ._fold import NO_STACK, Run, Slot, Where
from ._program import Program, split


class _Turns:
    """Of each stack its first blocks, all between, and its last."""

    def __init__(self, family: Family) -> None:
        self.list: list[list[Any]] = [[0, 1, 0]]
        self._found: dict[tuple[str, Where], int] = {}
        low, high = family.folded.ends
        period = family.folded.period
        for repeat, (stack, depth) in enumerate(family.depths.items(), 1):
            blocks = family.blocks(family.at)[stack]
            wheres: list[tuple[Where, Any, int]] = [(("first", i), 1, i) for i in range(low)]
            wheres.append(("mid", f"{depth} - {low + high}", low))
            wheres += [(("last", i), 1, blocks - 1 - i) for i in reversed(range(high))]
            for where, count, block in wheres:
                self.list.append([repeat, count, block * period])
                self._found[stack, where] = len(self.list) - 1

    def number(self, stack: str, where: Where) -> int:
        return 0 if where == "once" else self._found[stack, where]

    def count(self, turn: int) -> str:
        return str(self.list[turn][1])


def family_json(family: Family, about: dict[str, Any]) -> dict[str, Any]:
    """The members of a file."""
    folded = family.folded
    scopes, turns = Scopes(), _Turns(family)
    stacks = {run.chain: run.stack for run in folded.runs}
    numbers: dict[Slot, int] = {}
    storages: list[list[Any]] = []
    weights: list[list[Any]] = []
    trained = dict(folded.program.weights)
    elements: dict[bool, collections.Counter[str]] = {True: collections.Counter(), False: collections.Counter()}
    known: dict[int, int] = {}  # by row: what two steps make in turn is one
    for slot, row in folded.rows.items():
        if id(row) in known:
            numbers[slot] = known[id(row)]
            continue
        turn = turns.number(stacks[slot[0]], slot[1])
        scope = scopes.number(split(row.place)[0] if turn or row.place else "")
        storages.append(
            [family.sizes[slot], row.op, scope, turn, row.category, dtype_of(row), row.saved_by]
        )
        if row.is_output:
            storages[-1].append("output")
        numbers[slot] = known[id(row)] = len(storages)
        if row.category == "weights":
            is_trained = trained.get(row.place, False)
            weights.append([scope, turn, turns.list[turn][2], is_trained])
            item = getattr(torch, row.dtype).itemsize
            elements[is_trained][f"{family.sizes[slot]}/{item}*({turns.count(turn)})"] += 1
    events: list[int] = []
    segments: list[list[int]] = []
    spans: dict[int, list[int]] = {}
    for run in folded.runs:
        first = len(events)
        events.extend(_event(run, each, numbers, family, stacks) for each in run.events)
        segments.append([first, len(events), turns.number(run.stack, run.where)])
        spans.setdefault(run.stretch, [len(segments) - 1, 0])[1] = len(segments)
    phases = _phases(family, spans)
    sums = {of: " + ".join(f"{n}*{text}" for text, n in each.items()) or "0" for of, each in elements.items()}
    return {
        "schema": SCHEMA,
        **about,
        "letters": [
            {"name": name, "value": value, "meaning": name, "fixed": name in family.fixed}
            for name, value in family.at.items()
        ],
        "guards": list(_guards(family)),
        "parameters": f"{sums[True]} + {sums[False]}",
        "trained_parameters": sums[True],
        "scopes": scopes.list,
        "turns": turns.list,
        "storages": storages,
        "segments": segments,
        "events": events,
        "phases": phases,
        "weights": weights,
        "replay": _replay(family, numbers),
    }


def program_json(program: Program, about: dict[str, Any]) -> dict[str, Any]:
    """The members of a file of one program: layers that do the same are turns. What does not fold is written out, and a note
    says why."""
    family = family_of(program)
    if isinstance(family, Family):
        counts = {"parameters": program.parameters, "trained_parameters": program.trained}
        return {**family_json(family, about), **counts}
    notes = list(about.get("notes", ()))
    if family != NO_STACK:
        notes.append(f"every layer is traced by itself: {family}")
    return as_json(program, {**about, "notes": notes})


def _event(run: Run, event: tuple[Any, bool], numbers: dict[Slot, int], family: Family, stacks: dict[int, str]) -> int:
    """The number of the storage that is made, or negative of the one let go: of several alike that of the turns between."""
    (chain, where, place), birth = event
    if birth:
        return numbers[chain, where, place]
    if where != "once" and where[0] == "by":
        blocks = max(family.blocks(family.at)[stacks[chain]], sum(family.folded.ends) + 2)
        if run.where == "mid":
            where = "mid"
        else:
            kind, i = run.where
            block = (i if kind == "first" else blocks - 1 - i) + where[1]
            where = family.folded.where(block, blocks)
    return -numbers[chain, where, place]


def _phases(family: Family, spans: dict[int, list[int]]) -> list[list[Any]]:
    found: list[list[Any]] = []
    last = 0
    for number, stretch in enumerate(family.folded.program.stretches):
        first, last = spans.get(number, [last, last])
        found.append([stretch.step, stretch.micro, stretch.name, first, last])
    return found


def _guards(family: Family) -> Any:
    """Where the structure was seen: multiples of the unit, at least two, and layers enough for first, last and some between."""
    for letter, unit in family.units.items():
        if letter in family.depths.values():
            continue
        if unit > 1:
            yield f"{letter} % {unit} == 0"
        yield f"{letter} >= {max(2, unit)}"
    for depth in family.depths.values():
        if not depth.isdigit():
            yield f"{depth} >= {sum(family.folded.ends) + 1}"
    yield from family.guards


def _replay(family: Family, numbers: dict[Slot, int]) -> dict[str, Any]:
    """Every block written out, as at the sizes that were asked for."""
    blocks = family.blocks(family.at)
    turns: list[list[int]] = [[0, 1, 0]]
    found: dict[tuple[str, int], int] = {}
    events: list[int] = []
    instances: list[int] = []
    made: dict[tuple[int, int | None], int] = {}  # by row and block
    segments: list[list[int]] = []
    spans: dict[int, list[int]] = {}
    live: dict[tuple[int, int | None, int], int] = {}
    repeats = {stack: number for number, stack in enumerate(blocks, 1)}
    for run, block, changes in family.folded.turns(blocks):
        first = len(events)
        for key, slot in changes:
            if slot is not None:
                one = (id(family.folded.rows[slot]), block)
                if one not in made:
                    instances.append(numbers[slot])
                    made[one] = len(instances)
                live[key] = made[one]
                events.append(made[one])
            else:
                events.append(-live.pop(key))
        if block is not None and (run.stack, block) not in found:
            turns.append([repeats[run.stack], 1, block * family.folded.period])
            found[run.stack, block] = len(turns) - 1
        segments.append([first, len(events), 0 if block is None else found[run.stack, block]])
        spans.setdefault(run.stretch, [len(segments) - 1, 0])[1] = len(segments)
    fixed = {letter: value for letter, value in family.at.items() if any(letter in depth for depth in family.depths.values())}
    return {
        "at": fixed,
        "turns": turns,
        "segments": segments,
        "events": events,
        "phases": _phases(family, spans),
        "instances": instances,
    }
