"""Where formulas hold: one step on symbolic sizes of the batch, whose comparisons PyTorch notes itself.

Dimensions of the batch that are a letter's become symbols (torch.fx.experimental.symbolic_shapes); what code asks of them, such
as `T <= 512`, is a guard. The bytes come from traces at numbers: a symbolic run may take ops apart that are one.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch._guards import Source
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_leaves, tree_map

from ._device import fake_cuda
from ._fit import Point
from ._gpu import Gpu
from ._loop import loss_of
from ._mode import fresh_cache, no_search_for_numpy
from ._patches import Patches, apply_all

Factory = Callable[..., Any]

#: Comparisons as the file's guards have them.
SIGNS = {"Equality": "==", "Unequality": "!=", "LessThan": "<=", "GreaterThan": ">=", "StrictLessThan": "<", "StrictGreaterThan": ">"}


def guards_of(factory: Factory, points: list[Point], gpu: Gpu, loss: Callable[[Any, Any], Any] | None) -> list[str]:
    """What a forward and a backward pass at the first of the points asks of the batch's sizes, and all points fulfil.

    What one of the points, at which the structure was the same, does not fulfil decides nothing. Raises whatever the
    program raises on symbolic sizes.
    """
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    shapes = ShapeEnv()
    with _symbolic(shapes, gpu), torch.device("cuda"):
        apart = [points[0], points[-1]]
        letters = _letters([factory(**point)[1] for point in apart], apart)
        model, batch = factory(**points[0])
        symbols = {name: _symbol(shapes, name, points[0][name]) for name in letters.values()}
        batch = _with_symbols(batch, letters, symbols)
        model.train()
        outputs = _called(model, batch)
        (loss(outputs, batch) if loss else loss_of(outputs)).backward()
    names = {symbol.node.expr: name for name, symbol in symbols.items()}
    told = {text: each.expr for each in shapes.guards if (text := _told(each.expr, names))}
    return [text for text, expr in told.items() if all(_holds(expr, names, point) for point in points)]


@contextlib.contextmanager
def _symbolic(shapes: Any, gpu: Gpu) -> Iterator[None]:
    from torch._dispatch.python import enable_python_dispatcher

    with fake_cuda(), Patches() as patches:
        apply_all(patches, gpu, lambda: 0, lambda note: None)
        mode = FakeTensorMode(shape_env=shapes, allow_non_fake_inputs=False)
        for context in (fresh_cache(), no_search_for_numpy(), mode, enable_python_dispatcher()):
            patches.enter_context(context)
        yield


def _letters(batches: list[Any], points: list[Point]) -> dict[tuple[int, int], str]:
    """By tensor and dimension: the letter whose value the dimension has at two points, and no other letter has."""
    found = {}
    sizes = [[tuple(leaf.shape) for leaf in tree_leaves(batch) if isinstance(leaf, torch.Tensor)] for batch in batches]
    for number, pair in enumerate(zip(*sizes)):
        for dim, values in enumerate(zip(*pair)):
            same = [name for name in points[0] if values == tuple(point[name] for point in points)]
            if len(same) == 1 and len(set(values)) > 1:
                found[number, dim] = same[0]
    return found


@dataclass(frozen=True)
class Letter(Source):  # type: ignore[misc, unused-ignore]
    """Where a symbol comes from."""

    letter: str

    @property
    def _name_template(self) -> str:
        return self.letter


def _symbol(shapes: Any, name: str, value: int) -> Any:
    from torch.fx.experimental.symbolic_shapes import DimDynamic

    source = Letter(name)
    symbol = shapes.create_symbol(value, source, dynamic_dim=DimDynamic.DYNAMIC)
    return shapes.create_symintnode(symbol, hint=value, source=source)


def _with_symbols(batch: Any, letters: dict[tuple[int, int], str], symbols: dict[str, Any]) -> Any:
    numbers = itertools.count()

    def made(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        number = next(numbers)
        shape = [symbols[letters[number, dim]] if (number, dim) in letters else size for dim, size in enumerate(leaf.shape)]
        return torch.zeros(shape, dtype=leaf.dtype, device="cuda")

    return tree_map(made, batch)


def _called(model: Any, batch: Any) -> Any:
    if isinstance(batch, Mapping):
        return model(**batch)
    return model(*batch) if isinstance(batch, (tuple, list)) else model(batch)


# --- what was asked, as text


def _told(expr: Any, names: dict[Any, str]) -> str:
    """A comparison as a guard of the file; nothing where that has no words for it."""
    sign = SIGNS.get(type(expr).__name__)
    if sign is None or not expr.free_symbols <= names.keys():
        return ""
    for side, other in ((expr.lhs, expr.rhs), (expr.rhs, expr.lhs)):
        if type(side).__name__ in ("Mod", "PythonMod") and other.is_Integer and sign in ("==", "!="):
            of = _sides(side.args[0], names)
            return f"{of[0]} % {side.args[1]} {sign} {other}" if of and of[1] == "0" else ""
    sides = _sides(expr.lhs - expr.rhs, names)
    return f"{sides[0]} {sign} {sides[1]}" if sides else ""


def _sides(expr: Any, names: dict[Any, str]) -> tuple[str, str] | None:
    """A sum as the terms that are added and those that are subtracted; None where it is no sum of products."""
    added: list[str] = []
    taken: list[str] = []
    for term in expr.expand().as_ordered_terms():
        factor, rest = term.as_coeff_Mul()
        powers = rest.as_powers_dict() if rest != 1 else {}
        if not factor.is_Integer or any(base not in names or not power.is_Integer or power < 1 for base, power in powers.items()):
            return None
        letters = [names[base] for base, power in powers.items() for _ in range(int(power))]
        number = [str(abs(factor))] if abs(factor) != 1 or not letters else []
        (added if factor > 0 else taken).append("*".join([*number, *sorted(letters)]))
    return " + ".join(sorted(added)) or "0", " + ".join(sorted(taken)) or "0"


def _holds(expr: Any, names: dict[Any, str], point: Point) -> bool:
    return bool(expr.subs({symbol: point[name] for symbol, name in names.items()}))
