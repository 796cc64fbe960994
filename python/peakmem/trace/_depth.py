"""Many layers that are all alike: a few of them traced, folded, and their number set.

That a number may be set is shown in three ways, else every layer is traced. Layers must be equal as objects: modules, parameters,
buffers and attributes, but for their own number. Programs of five of them and of one less must fold to one, as must the first forward pass
of all layers, which is run whole: what a loop does otherwise at one of them is seen there. A backward pass undoes the forward pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from .._errors import InputError
from ._adopt import Adoption
from ._family import Family
from ._fold import Folded, Slot, fold
from ._gpu import Gpu
from ._program import Program, make_forward
from ._progress import Progress
from ._session import Session
from ._steps import KNOWN, Maker, loop_of, run_model

#: Blocks of layers that are traced; a block has one of every kind of an alternating pattern.
FEW = 5
#: Blocks from which on that is quicker than tracing them all.
MANY = 13
#: Kinds that alternate, at most.
KINDS = 8

#: Attributes of a module that say nothing of what it does.
ASIDE = frozenset(["_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"])


@dataclass(frozen=True)
class Stack:
    """Layers of a model that are alike: where they are, how many, and how many kinds alternate."""

    path: str
    layers: int
    kinds: int

    @property
    def prefix(self) -> str:
        """As folded programs call it."""
        return f"{self.path}." if self.path else ""

    @property
    def blocks(self) -> int:
        return -(-self.layers // self.kinds)


@dataclass(frozen=True)
class Short:
    """What was traced of a model with many layers."""

    session: Session
    program: Program
    family: Family
    name: str
    counts: dict[str, int]  # of parameters, of all layers
    note: str


def trace_short(make: Maker, live: Any, gpu: Gpu, options: dict[str, Any], progress: Progress) -> Short | None:
    """A model whose layers are many and alike; None where they are not, or where it cannot be shown. `live` is the model that
    `make` adopts, None where it makes one."""
    if not isinstance(options["optimizer"], str):  # one of the user's may treat layers differently
        return None
    with loop_of(make, gpu, options, progress) as (session, loop):
        stacks = stacks_of(loop.model)
        if not stacks:
            return None
        counts = _counts(loop.model)
        loop.forward()
        whole = fold(make_forward(session.recorder.log, session.phases.list))
    try:
        session, program, name = run_model(_fewer(make, live, FEW, stacks), gpu, options, progress)
        first, few = fold(make_forward(session.recorder.log, session.phases.list)), fold(program)
        if not (isinstance(whole, Folded) and isinstance(first, Folded) and isinstance(few, Folded)) or not _one(whole, first):
            return None
        other = FEW - 1 if sum(few.ends) + 2 < FEW else FEW + 1
        steps = KNOWN if program.steady and program.steps == KNOWN + 1 else None
        more = fold(run_model(_fewer(make, live, other, stacks), gpu, options, progress, steps)[1])
    except InputError:  # a loop that counts layers itself
        return None
    family = _family(few, more, other - FEW, stacks)
    told = ", ".join(f"{each.layers} of {each.path or 'the model'}" for each in stacks)
    note = f"layers that are alike were traced {FEW} and {other} times, and their number set: {told}"
    return None if family is None else Short(session, program, family, name, counts, note)


def _fewer(make: Maker, live: Any, blocks: int, stacks: list[Stack]) -> Maker:
    """The model with fewer layers: of a live one as long as it is traced."""

    def fewer(adoption: Adoption) -> tuple[Any, Any]:
        for stack in stacks if live is not None else ():
            container = live.get_submodule(stack.path)
            adoption.callback(setattr, container, "_modules", container._modules)
            _cut(container, stack, blocks)
        model, batch = make(adoption)
        for stack in stacks if live is None else ():
            _cut(model.get_submodule(stack.path), stack, blocks)
        return model, batch

    return fewer


def _cut(container: Any, stack: Stack, blocks: int) -> None:
    """Leaves all but the first so many blocks out."""
    left = stack.layers - (stack.blocks - blocks) * stack.kinds
    container._modules = {name: container._modules[name] for name in map(str, range(left))}


def _counts(model: Any) -> dict[str, int]:
    parameters = list(model.parameters())
    trained = sum(each.numel() for each in parameters if each.requires_grad)
    return {"parameters": sum(each.numel() for each in parameters), "trained_parameters": trained}


# --- whether layers are alike


def stacks_of(model: Any) -> list[Stack]:
    """Its longest stacks of layers that are alike; none inside of another's layers."""
    found: list[Stack] = []
    waiting = [("", model)]
    while waiting:
        path, module = waiting.pop()
        stack = _stack_at(path, module)
        if stack:
            found.append(stack)
            continue
        waiting.extend((f"{path}.{name}" if path else name, each) for name, each in module._modules.items() if each is not None)
    return sorted(found, key=lambda each: each.path)


def _stack_at(path: str, module: Any) -> Stack | None:
    names = list(module._modules)
    if len(names) < MANY or names != [str(number) for number in range(len(names))]:
        return None
    layers = list(module._modules.values())
    owned = [id(each) for layer in layers for each in layer.parameters()]
    if len(set(owned)) != len(owned):  # layers share what they have
        return None
    parts = [dict(_parts(layer, "")) for layer in layers]
    numbers = {key for key in parts[0] if _counts_up([each.get(key) for each in parts])}
    alike = [{key: value for key, value in each.items() if key not in numbers} for each in parts]
    for kinds in range(1, KINDS + 1):
        if all(a == b for a, b in zip(alike, alike[kinds:])):
            stack = Stack(path, len(layers), kinds)
            return stack if stack.blocks >= MANY else None
    return None


def _counts_up(values: list[Any]) -> bool:
    """Whether it is a layer's own number."""
    plain = all(type(each) is int for each in values)
    return plain and all(after - before == 1 for before, after in zip(values, values[1:]))


def _parts(module: Any, path: str) -> Iterator[tuple[str, Any]]:
    """What a module is, part by part."""
    yield f"{path}()", type(module)
    for kind in ("_parameters", "_buffers"):
        for name, each in vars(module)[kind].items():
            told = each is not None and (tuple(each.shape), each.dtype, each.requires_grad, each.stride(), type(each).__name__)
            yield f"{path}.{name}", told
    for name, value in vars(module).items():
        if name not in ASIDE:
            yield f"{path}.{name}", _plain(value)
    for name, child in module._modules.items():
        if child is not None:
            yield from _parts(child, f"{path}.{name}")


def _plain(value: Any) -> Any:
    """What two values have in common if they are alike: numbers and texts as they are, all else what it is made of, or itself."""
    if isinstance(value, (bool, int, float, str, bytes, type(None), torch.dtype, torch.device, type)):
        return value
    if isinstance(value, (list, tuple)):
        return type(value), [_plain(each) for each in value]
    if isinstance(value, dict):
        return type(value), [(_plain(name), _plain(each)) for name, each in value.items()]
    if isinstance(value, (set, frozenset)):
        return type(value), sorted(map(repr, value))
    bound = getattr(value, "__func__", None)
    return bound if bound is not None and isinstance(value.__self__, torch.nn.Module) else id(value)


# --- whether programs are one


def _one(whole: Folded, first: Folded) -> bool:
    """Whether the forward pass of all layers is that of a few, which are more."""
    return whole.structure() == first.structure() and all(whole.rows[slot].bytes == row.bytes for slot, row in first.rows.items())


def _family(few: Folded, other: Folded | str, more: int, stacks: list[Stack]) -> Family | None:
    """The program of a few layers with the number of all of them; None where that of so many more blocks is another."""
    if not isinstance(other, Folded) or few.structure() != other.structure():
        return None
    depths = {stack: str(count) for stack, count in few.blocks.items()}
    for stack in stacks:
        if stack.prefix not in depths or few.period != stack.kinds:
            return None
        depths[stack.prefix] = str(stack.blocks)
    sizes = _sizes(few, other, more, {stack.blocks for stack in stacks})
    return None if sizes is None else Family(few, sizes, depths, {}, {}, frozenset(), 2)


def _sizes(few: Folded, other: Folded, more: int, blocks: set[int]) -> dict[Slot, str] | None:
    """Bytes of all slots; of those that more layers make longer, as a list of all norms is, with all layers."""
    found: dict[Slot, str] = {}
    for slot, row in few.rows.items():
        longer = (other.rows[slot].bytes - row.bytes) // more
        if longer and (len(blocks) != 1 or len(row.shape) != 1):
            return None
        found[slot] = str(row.bytes + longer * (min(blocks) - FEW))
    return found
