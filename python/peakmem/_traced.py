"""A live model's parameters held to the trace's: by number, name, shape and dtype."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._adapters import PACKED
from ._errors import InputError
from ._live import beneath
from ._rows import ParameterRow

#: How many names a refusal tells; the others are counted.
TOLD = 3


def check_parameters(base: Any, traced: list[ParameterRow]) -> None:
    """Refuses a model whose parameters are not those of the trace."""
    if not callable(getattr(base, "named_parameters", None)):
        return
    modules = dict(base.named_modules()) if callable(getattr(base, "named_modules", None)) else {}
    packed = {path: each for path, each in beneath(modules, modules) if type(each).__name__ in PACKED}
    held = held_parameters(base, modules)
    expected = {each.name: each for each in traced}
    shapes = {name: shape_of(name, each, packed) for name, each in held.items()}
    differing = [
        *tied_by_hand(base, modules, held, expected),
        *[f"has no {name} {sizes(each.shape)}" for name, each in expected.items() if name not in held],
        *[f"has {name} {sizes(shape)} besides" for name, shape in shapes.items() if name not in expected],
        *[
            f"has {name} {sizes(shape)}, traced {sizes(expected[name].shape)}"
            for name, shape in shapes.items()
            if name in expected and shape != expected[name].shape
        ],
    ]
    if differing:
        counts = f"{count(shapes.values()):,} parameters, {count(each.shape for each in traced):,} are traced"
        problem = f"{told(differing)}: {counts}"
        raise InputError("model", problem, "such a model is not modelled; pass one as its config says, or the config")
    if len(held) == len(dict(base.named_parameters())):  # beside adapters, dtypes are read with them
        check_dtypes(held, expected)


def held_parameters(base: Any, modules: Mapping[str, Any], **how: bool) -> dict[str, Any]:
    """The model's own by the names they have without adapters, which are left out."""
    named = dict(base.named_parameters(**how))
    return {name: each for name, each in beneath(named, modules)}


def shape_of(name: str, parameter: Any, packed: Mapping[str, Any]) -> tuple[int, ...]:
    """Its sizes; of a packed weight those it stands for."""
    path, _, last = name.rpartition(".")
    layer = packed.get(path)
    if layer is not None and last == "weight":
        return (int(layer.out_features), int(layer.in_features))
    return tuple(int(size) for size in parameter.shape)


def tied_by_hand(
    base: Any, modules: Mapping[str, Any], held: Mapping[str, Any], expected: Mapping[str, ParameterRow]
) -> list[str]:
    """Parameters that are another one, where the config keeps them apart."""
    if not any(name not in held for name in expected):
        return []
    found = []
    every = held_parameters(base, modules, remove_duplicate=False)
    for name in expected:
        if name not in held and name in every:
            other = next(each for each in held if held[each] is every[name])
            found.append(f"has {name} tied to {other}, which its config keeps apart")
    return found


def check_dtypes(held: Mapping[str, Any], expected: Mapping[str, ParameterRow]) -> None:
    for name, parameter in held.items():
        dtype = str(parameter.dtype).removeprefix("torch.")
        if dtype != expected[name].dtype:
            problem = f"has {name} in {dtype} beside weights of which it would be in {expected[name].dtype}"
            raise InputError("model", problem, "weights of mixed dtypes are not modelled; convert the model with .to()")


def sizes(shape: tuple[int, ...]) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"


def count(shapes: Any) -> int:
    total = 0
    for shape in shapes:
        size = 1
        for each in shape:
            size *= each
        total += size
    return total


def told(differing: list[str]) -> str:
    more = f"; and {len(differing) - TOLD} more" if len(differing) > TOLD else ""
    return "; ".join(differing[:TOLD]) + more
