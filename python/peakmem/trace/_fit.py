"""Sizes of one program traced at several points, as formulas of the letters that were varied.

A size is fitted by its dimensions, each exactly: a number, a product of up to three letters, a quotient of two or a letter
rounded up, times a factor and plus a rest; or a sum of two such. What fits none at every point fails by name.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch

from ._program import Row

Point = dict[str, int]

#: What kernels pad the rows of a result to a multiple of.
PADDED = (8, 16, 32, 64)
#: Multiples that a letter may be rounded up to.
ROUNDED = (2, 4, 8, 16, 32, 64, 128)
#: How many of the simplest monomials are tried two at a time.
PAIRED = 2


@dataclass(frozen=True)
class Monomial:
    """A text, its value at every point, and how many letters it has."""

    text: str
    values: tuple[Fraction, ...]
    degree: int


def monomials(points: Sequence[Point]) -> list[Monomial]:
    """What a dimension may be a multiple of, simplest first."""
    letters = list(points[0])
    found = []
    for degree in (1, 2, 3):
        for some in itertools.combinations_with_replacement(letters, degree):
            values = tuple(Fraction(math.prod(point[each] for each in some)) for point in points)
            found.append(Monomial("*".join(some), values, degree))
    for x, y in itertools.permutations(letters, 2):
        found.append(Monomial(f"{x}/{y}", tuple(Fraction(p[x], p[y]) for p in points), 2))
    for letter, multiple in itertools.product(letters, ROUNDED):
        if any(point[letter] % multiple for point in points):  # otherwise it is a quotient
            values = tuple(Fraction(-(-point[letter] // multiple)) for point in points)
            found.append(Monomial(f"ceil_div({letter}, {multiple})", values, 3))
    return found


class Fitter:
    """The formulas of values at points; each is looked for once."""

    def __init__(self, points: Sequence[Point]) -> None:
        self.monomials = monomials(points)
        self.unsure: set[str] = set()  # formulas beside which another one fits as well: more points must tell
        self._known: dict[tuple[int, ...], str | None] = {}

    def number(self, values: Sequence[int]) -> str | None:
        """A formula of a whole number; None where nothing fits."""
        key = tuple(values)
        if key not in self._known:
            self._known[key] = self._found(key)
        return self._known[key]

    def _found(self, values: tuple[int, ...]) -> str | None:
        if len(set(values)) == 1:
            return str(values[0])
        products = [_times(values[0] / each.values[0], each.text) for each in self.monomials if _proportional(each, values)]
        if products:
            self.unsure.update(products if len(products) > 1 else ())
            return products[0]
        for each in self.monomials:
            if (sum_ := self._with_rest(each, values)) is not None:
                return sum_
        simple = [each for each in self.monomials if each.degree <= PAIRED]
        for a, b in itertools.combinations(simple, 2):
            if (sum_ := _sum_of_two(a, b, values)) is not None:
                return sum_
        return None

    @staticmethod
    def _with_rest(each: Monomial, values: tuple[int, ...]) -> str | None:
        other = next((i for i, x in enumerate(each.values) if x != each.values[0]), None)
        if other is None:
            return None
        factor = (values[other] - values[0]) / (each.values[other] - each.values[0])
        rest = values[0] - factor * each.values[0]
        if factor == 0 or any(factor * x + rest != v for x, v in zip(each.values, values)):
            return None
        return f"({_times(factor, each.text)} + {_number(rest)})" if rest > 0 else f"({_times(factor, each.text)} - {_number(-rest)})"

    def size(self, rows: Sequence[Row]) -> str | None:
        """A storage's bytes: by its dimensions, else with padded rows, else as a number."""
        item = getattr(torch, rows[0].dtype).itemsize
        if len({len(row.shape) for row in rows}) == 1:
            for padding in (1, *PADDED):
                if all(_bytes(row, item, padding) == row.bytes for row in rows):
                    dims = [self.number([row.shape[d] for row in rows]) for d in range(len(rows[0].shape))]
                    if None not in dims:
                        return _product(item, [dim for dim in dims if dim is not None], padding)
        return self.number([row.bytes for row in rows])


def _proportional(each: Monomial, values: tuple[int, ...]) -> bool:
    return all(x * values[0] == v * each.values[0] for x, v in zip(each.values, values))


def _bytes(row: Row, item: int, padding: int) -> int:
    """What a row's shape takes with its last dimension rounded up."""
    if not row.shape:
        return item if padding == 1 else -1
    last = -(-row.shape[-1] // padding) * padding
    return math.prod(row.shape[:-1]) * last * item


def _product(item: int, dims: list[str], padding: int) -> str:
    if padding > 1:
        dims = [*dims[:-1], f"ceil_div({dims[-1]}, {padding})"]
    numbers = [item * padding, *(int(dim) for dim in dims if dim.isdigit())]
    texts = [dim for dim in dims if not dim.isdigit()]
    return "*".join([str(math.prod(numbers)), *(f"({dim})" if "/" in dim and dim[0] != "(" else dim for dim in texts)])


def _number(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else f"{value.numerator}/{value.denominator}"


def _times(factor: Fraction, text: str) -> str:
    """The factor's denominator comes last, so that the whole is divided."""
    start = "" if factor.numerator == 1 else f"{factor.numerator}*"
    return f"{start}{text}" if factor.denominator == 1 else f"{start}{text}/{factor.denominator}"


def _sum_of_two(a: Monomial, b: Monomial, values: tuple[int, ...]) -> str | None:
    """x·a + y·b, by Cramer's rule from the first two points that tell them apart."""
    for i, j in itertools.combinations(range(min(len(values), 4)), 2):
        determinant = a.values[i] * b.values[j] - a.values[j] * b.values[i]
        if determinant:
            break
    else:
        return None
    x = (values[i] * b.values[j] - values[j] * b.values[i]) / determinant
    y = (a.values[i] * values[j] - a.values[j] * values[i]) / determinant
    if not x or not y or any(x * p + y * q != v for p, q, v in zip(a.values, b.values, values)):
        return None
    sign = "+" if y > 0 else "-"
    return f"({_times(x, a.text)} {sign} {_times(abs(y), b.text)})"
