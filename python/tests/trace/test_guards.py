"""What code asks of the batch's sizes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from models import Decoder

from peakmem.trace._gpu import ANY
from peakmem.trace._guards import guards_of

POINTS = [{"B": 6, "T": 40, "L": 5}, {"B": 5, "T": 77, "L": 6}]


class Asks(Decoder):
    """A model that looks at sizes."""

    def forward(self, ids: Any, labels: Any) -> Any:
        sequences, length = ids.shape
        if length > 100 or sequences * length < 30 or length % 4 == 0 and sequences > length or sequences % 50 == 49:
            ids = ids + 1
        return super().forward(ids, labels)


@pytest.mark.parametrize(
    "model, guards",
    [(Decoder, set()), (Asks, {"T <= 100", "B*T >= 30", "B <= T", "B % 50 != 49"})],
)
def test_are_guards(model: Any, guards: set[str]) -> None:
    def make(B: int, T: int, L: int) -> tuple[Any, Any]:
        ids = torch.zeros(B, T, dtype=torch.long)
        return model(L, 32, 4, 101, 256), (ids, ids)

    assert set(guards_of(make, POINTS, ANY, None)) == guards
