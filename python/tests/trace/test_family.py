"""Factories over sizes: programs whose sizes are formulas."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from models import Decoder

import peakmem
from peakmem.trace._family import Family, events_of, make_family
from peakmem.trace._family_file import family_json
from peakmem.trace._gpu import ANY
from peakmem.trace._program import Program
from peakmem.trace._steps import OPTIONS, program_of


def make(**sizes: int) -> tuple[Any, Any]:
    ids = torch.zeros(sizes["B"], sizes["T"], dtype=torch.long)
    return Decoder(sizes["L"], 32, 4, 101, 256), (ids, ids)


def traced(point: dict[str, int], steps: int | None = None) -> Program:
    def maker(adoption: object) -> tuple[Any, Any]:
        with torch.device("cuda"):
            return make(**point)

    return program_of(maker, ANY, {**OPTIONS, "optimizer": "sgd"})


AT = {"B": 6, "T": 40, "L": 7}


@pytest.fixture(scope="module")
def decoder() -> Family:
    return make_family(traced, AT)


def test_its_letters_and_where_they_hold(decoder: Family) -> None:
    members = family_json(decoder, {})
    assert [(each["name"], each["value"], each["fixed"]) for each in members["letters"]] == [
        ("B", 6, False),
        ("T", 40, False),
        ("L", 7, False),
    ]
    assert members["guards"] == ["B >= 2", "T >= 2", "L >= 3"]
    assert members["turns"] == [[0, 1, 0], [1, 1, 0], [1, "L - 2", 1], [1, 1, 6]]
    replay = members["replay"]
    assert replay["at"] == {"L": 7} and len(replay["turns"]) == 8
    assert max(map(abs, replay["events"])) == len(replay["instances"])


@pytest.mark.parametrize("sizes", [{}, {"B": 3}, {"T": 200}, {"L": 12}, {"B": 5, "T": 77, "L": 4}])
def test_it_does_what_a_direct_trace_does(decoder: Family, sizes: dict[str, int]) -> None:
    here = {**AT, **sizes}
    assert decoder.events(here) == events_of(traced(here))


def test_it_is_found_in_a_few_traces(decoder: Family) -> None:
    assert decoder.traces < 16


def test_a_factory_must_make_a_model_and_its_batch() -> None:
    with pytest.raises(peakmem.InputError, match="a model and its batch"):
        peakmem.trace(lambda B: Decoder(), at={"B": 2})


def test_what_fits_no_formula_is_refused() -> None:
    def odd(B: int) -> tuple[Any, Any]:
        width = B**3 % 11 + 5
        return torch.nn.Linear(width, 2), torch.zeros(2, width)

    with pytest.raises(peakmem.InputError, match="no formula fits"):
        peakmem.trace(odd, at={"B": 16}, loss=lambda outputs, batch: outputs.sum(), optimizer="sgd")


def test_what_makes_another_program_at_other_sizes_keeps_its_letter() -> None:
    def kinds(B: int, N: int) -> tuple[Any, Any]:
        return torch.nn.Sequential(*(torch.nn.Linear(4, 4) for _ in range(N))), torch.zeros(B, 4)

    found = peakmem.trace(kinds, at={"B": 16, "N": 2}, loss=lambda outputs, batch: outputs.sum(), optimizer="sgd")
    assert {each["name"]: each["fixed"] for each in found.members["letters"]} == {"B": False, "N": True}
