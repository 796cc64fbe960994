"""Traces in a child process."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch
from models import Decoder, batch

import peakmem
from peakmem.trace._isolate import in_child


def test_is_the_same_trace_after_others_too() -> None:
    here = peakmem.trace(Decoder, batch())
    assert peakmem.trace(Decoder, batch(), isolate=True).members == here.members


def test_leaves_nothing_behind() -> None:
    seen: list[int] = []

    class Counts(torch.nn.Linear):
        def forward(self, x: Any) -> Any:
            seen.append(1)
            return super().forward(x).sum()

    peakmem.trace(lambda: Counts(4, 4), torch.zeros(2, 4), isolate=True)
    assert seen == []


def test_a_function_of_sizes_is_traced_again() -> None:
    def make(B: int) -> tuple[Any, Any]:
        return torch.nn.Linear(4, 4), torch.zeros(B, 4)

    found = peakmem.trace(make, at={"B": 16}, loss=lambda outputs, batch: outputs.sum(), optimizer="sgd", isolate=True)
    assert found.at(B=5, verify=True).options["at"] == "B=5"


def test_an_error_comes_back_as_it_was() -> None:
    with pytest.raises(peakmem.InputError, match="loss"):
        peakmem.trace(lambda: torch.nn.Linear(2, 2), torch.zeros(2, 2), isolate=True)


def test_a_child_that_dies_is_told() -> None:
    with pytest.raises(peakmem.InputError, match="exit code 3"):
        in_child(lambda: os._exit(3))
