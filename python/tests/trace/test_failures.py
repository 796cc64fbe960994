"""What fails on fakes: the op, what it wanted, and the user's own lines."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from models import Decoder, batch

import peakmem


class Wrong(torch.nn.Module):
    """Multiplies what does not go together, in a function of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(8, 4)

    def forward(self, x: Any) -> Any:
        return self.product(self.inner(x)).sum()

    def product(self, x: Any) -> Any:
        return torch.mm(x, x.new_empty(5, 3))


def told(make: Any, data: Any) -> str:
    with pytest.raises(peakmem.InputError) as caught:
        peakmem.trace(make, data)
    return str(caught.value)


def test_says_the_op_what_it_was_given_and_the_users_lines() -> None:
    said = told(Wrong, torch.zeros(2, 8))
    assert "aten.mm of float32 [2, 4], float32 [5, 3]" in said
    lines = [line for line in said.splitlines() if line.startswith("  ")]
    assert [line.split(" in ")[1].split(":")[0] for line in lines][-2:] == ["forward", "product"]
    assert "torch.mm(x, x.new_empty(5, 3))" in lines[-1]
    assert all("/torch/" not in line and "/peakmem/trace/" not in line for line in lines)


def test_an_error_of_the_users_own_has_no_op() -> None:
    class Refuses(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = torch.nn.Linear(8, 4)

        def forward(self, x: Any) -> Any:
            raise KeyError("no such thing")

    said = told(Refuses, torch.zeros(2, 8))
    assert "fails on shapes alone: KeyError" in said and "aten." not in said


def test_an_op_without_a_shape_function_is_named() -> None:
    library = torch.library.Library("peakmem_tests", "DEF")
    library.define("twice(Tensor x) -> Tensor")
    library.impl("twice", lambda x: x * 2, "CUDA")

    class Custom(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = torch.nn.Linear(8, 4)

        def forward(self, x: Any) -> Any:
            return torch.ops.peakmem_tests.twice(self.inner(x).detach()).sum() + self.inner(x).sum()

    said = told(Custom, torch.zeros(2, 8))
    assert "peakmem_tests::twice has no shape function" in said and "register_fake" in said
    assert "test_failures.py" in said


def test_compiled_models_are_traced_as_written_and_say_so() -> None:
    plain = peakmem.trace(Decoder, batch())
    compiled = peakmem.trace(lambda: torch.compile(Decoder()), batch())
    assert [each[0] for each in compiled.members["storages"]] == [each[0] for each in plain.members["storages"]]
    assert not any("torch.compile" in note for note in plain.notes)
    assert any("torch.compile" in note for note in compiled.notes)
