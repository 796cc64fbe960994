"""Formulas of sizes."""

from __future__ import annotations

import random

import pytest
from peakmem.trace._family import evaluate
from peakmem.trace._fit import Fitter
from peakmem.trace._program import Row

RANDOM = random.Random(0)
POINTS = [{"B": RANDOM.randint(2, 9), "T": RANDOM.randint(20, 200), "N": n, "C": 8 * n * RANDOM.randint(2, 9)} for n in (2, 3, 4, 6, 5, 7, 3)]
OTHER = {"B": 11, "T": 333, "N": 8, "C": 1024}


@pytest.mark.parametrize(
    "text",
    ["7", "B", "3*C", "B*T", "C/N", "B*N*T", "T + 1", "2*T - 1", "ceil_div(T, 32)", "B*T + N", "3*C/2", "C*C", "N + 5*B"],
)
def test_dimensions_are_found_exactly(text: str) -> None:
    fitter = Fitter(POINTS)
    found = fitter.number([evaluate(text, point) for point in POINTS])
    assert found is not None
    assert evaluate(found, OTHER) == evaluate(text, OTHER)


def test_what_has_no_formula_is_not_fitted() -> None:
    fitter = Fitter(POINTS)
    assert fitter.number([point["B"] ** 2 % 7 + point["T"] ** 3 % 11 for point in POINTS]) is None


def row(bytes_: int, *shape: int) -> Row:
    return Row(bytes_, "mm", "", "activations", "float32", shape)


def test_sizes_are_fitted_by_their_dimensions_and_padding() -> None:
    fitter = Fitter(POINTS)
    plain = fitter.size([row(4 * p["B"] * p["T"] * 3 * p["C"], p["B"], p["T"], 3 * p["C"]) for p in POINTS])
    assert plain is not None and evaluate(plain, OTHER) == 4 * 11 * 333 * 3 * 1024
    padded = fitter.size([row(4 * p["B"] * -(-p["T"] // 32) * 32, p["B"], p["T"]) for p in POINTS])
    assert padded is not None and evaluate(padded, OTHER) == 4 * 11 * 352


def test_what_two_formulas_fit_is_not_sure() -> None:
    points = [{"B": 8, "T": 32}, {"B": 5, "T": 32}, {"B": 8, "T": 20}, {"B": 12, "T": 50}]
    fitter = Fitter(points)
    assert fitter.number([-(-point["T"] // 32) for point in points]) is not None
    assert {"ceil_div(B, 8)", "ceil_div(T, 32)"} <= fitter.unsure
    told_apart = Fitter([*points, {"B": 8, "T": 70}])
    assert told_apart.number([1, 1, 1, 2, 3]) == "ceil_div(T, 32)" and not told_apart.unsure
