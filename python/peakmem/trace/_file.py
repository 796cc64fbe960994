"""A program as a file of the schema peakmem-trace/1 (docs/trace-format.md)."""

from __future__ import annotations

import json
from typing import Any

from ._program import Program, Row, split

SCHEMA = "peakmem-trace/1"

#: The format's element types; any other is told as the unsigned integer of one byte, its bytes being given.
DTYPES = frozenset(
    "float32 bfloat16 float16 int64 int32 uint64 uint8 bool int8 float64 complex64 complex128 int16 uint16 uint32 "
    "float8_e4m3fn float8_e5m2".split()
)


def dtype_of(row: Row) -> str:
    return row.dtype if row.dtype in DTYPES else "uint8"


class Scopes:
    """Modules' paths as the format has them: a tree of names."""

    def __init__(self) -> None:
        self.list: list[list[Any]] = [[-1, ""]]
        self._found: dict[str, int] = {"": 0}

    def number(self, path: str) -> int:
        if path not in self._found:
            parent, _, name = path.rpartition(".")
            self.list.append([self.number(parent), name])
            self._found[path] = len(self.list) - 1
        return self._found[path]


class Turns:
    """Every layer of a stack is a turn of its own, with the count 1."""

    def __init__(self) -> None:
        self.list: list[list[Any]] = [[0, 1, 0]]
        self._found: dict[tuple[str, int], int] = {}
        self._repeats: dict[str, int] = {}

    def number(self, path: str, layer: int | None) -> int:
        if layer is None:
            return 0
        stack = path.partition("*")[0]
        if (stack, layer) not in self._found:
            repeat = self._repeats.setdefault(stack, len(self._repeats) + 1)
            self.list.append([repeat, 1, layer])
            self._found[stack, layer] = len(self.list) - 1
        return self._found[stack, layer]


def as_json(program: Program, about: dict[str, Any]) -> dict[str, Any]:
    """The members of a file; `about` has those that are not the program's."""
    scopes, turns = Scopes(), Turns()

    def where(place: str) -> tuple[int, int, int]:
        path, layer = split(place)
        return scopes.number(path), turns.number(path, layer), layer or 0

    storages = []
    for row in program.rows:
        scope, turn, _ = where(row.place)
        made = [row.bytes, row.op, scope, turn, row.category, dtype_of(row), row.saved_by]
        storages.append([*made, "output"] if row.is_output else made)
    weights = [[*where(name), trained] for name, trained in program.weights]
    events: list[int] = []
    segments, phases = [], []
    for number, stretch in enumerate(program.stretches):
        segments.append([len(events), len(events) + len(stretch.events), 0])
        phases.append([stretch.step, stretch.micro, stretch.name, number, number + 1])
        events.extend(stretch.events)
    return {
        "schema": SCHEMA,
        **about,
        "parameters": program.parameters,
        "trained_parameters": program.trained,
        "scopes": scopes.list,
        "turns": turns.list,
        "storages": storages,
        "segments": segments,
        "events": events,
        "phases": phases,
        "weights": weights,
    }


def as_text(members: dict[str, Any]) -> str:
    """One member a line, so that files can be looked at and held side by side."""
    lines = (f"{json.dumps(name)}: {json.dumps(value, separators=(',', ':'))}" for name, value in members.items())
    return "{" + ",\n".join(lines) + "}\n"
