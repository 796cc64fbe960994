"""Layers folded, and unfolded to other numbers of layers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from models import Block, Decoder

from peakmem.trace._family import events_of, in_order
from peakmem.trace._fold import Folded, fold
from peakmem.trace._gpu import ANY
from peakmem.trace._program import Program
from peakmem.trace._steps import OPTIONS, program_of


def traced(model: Any, **options: Any) -> Program:
    ids = torch.zeros(4, 16, dtype=torch.long)

    def make(adoption: object) -> tuple[Any, Any]:
        with torch.device("cuda"):
            return model(), (ids, ids)

    return program_of(make, ANY, {**OPTIONS, **options})


def unfolded_to(folded: Folded, layers: int) -> list[tuple[int, int]]:
    blocks = {stack: layers // folded.period for stack in folded.blocks}
    return in_order(
        (stretch, folded.rows[slot].bytes if birth else -folded.rows[slot].bytes)
        for stretch, slot, birth in folded.expand(blocks)
    )


@pytest.mark.parametrize("options", [{}, {"precision": "bf16-mixed", "optimizer_impl": "fused"}, {"optimizer": "sgd"}])
def test_five_layers_say_what_eight_do(options: dict[str, Any]) -> None:
    folded = fold(traced(lambda: Decoder(5), **options))
    assert isinstance(folded, Folded)
    assert folded.period == 1 and folded.blocks == {"layers.": 5}
    assert unfolded_to(folded, 5) == events_of(folded.program)
    assert unfolded_to(folded, 8) == events_of(traced(lambda: Decoder(8), **options))
    assert folded.structure() == fold(traced(lambda: Decoder(6), **options)).structure()  # type: ignore[union-attr]


class Wide(Block):
    """A layer with twice the middle."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__(width, heads, dropout)
        self.up, self.down = torch.nn.Linear(width, 8 * width), torch.nn.Linear(8 * width, width)


class Alternating(Decoder):
    """Every third layer is another kind."""

    def __init__(self, layers: int) -> None:
        super().__init__(layers)
        for number in range(2, layers, 3):
            self.layers[number] = Wide(32, 4, 0.1)


def test_kinds_that_alternate_fold_by_their_period() -> None:
    folded = fold(traced(lambda: Alternating(12)))
    assert isinstance(folded, Folded)
    assert folded.period == 3 and folded.blocks == {"layers.": 4}
    assert unfolded_to(folded, 18) == events_of(traced(lambda: Alternating(18)))


class Shared(Block):
    """A layer that scales what it makes by what the first layer made, as T5's layers share a bias."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__(width, heads, dropout)
        self.scale = torch.nn.Parameter(torch.ones(1, 1, width))

    def forward(self, x: Any, scale: Any = None) -> Any:
        scale = self.scale.exp().expand(x.shape).contiguous() if scale is None else scale
        return super().forward(x) * scale, scale


class WithShared(Decoder):
    """Its gradient is begun in the last layer, and ends in the first."""

    def __init__(self, layers: int) -> None:
        super().__init__(layers)
        self.layers = torch.nn.ModuleList(Shared(32, 4, 0.1) for _ in range(layers))
        for layer in self.layers[1:]:
            layer.scale = None

    def forward(self, ids: Any, labels: Any) -> Any:
        x, scale = self.tokens(ids), None
        for layer in self.layers:
            x, scale = layer(x, scale)
        logits = self.head(self.norm(x))
        return logits, F.cross_entropy(logits.view(-1, logits.shape[-1]), labels.view(-1))


def test_what_goes_from_one_end_to_the_other_does_at_any_depth() -> None:
    folded = fold(traced(lambda: WithShared(6)))
    assert isinstance(folded, Folded)
    assert unfolded_to(folded, 6) == events_of(folded.program)
    assert unfolded_to(folded, 9) == events_of(traced(lambda: WithShared(9)))


class Growing(torch.nn.Module):
    """Layers that grow do not fold."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(7, 8)
        self.layers = torch.nn.ModuleList(torch.nn.Linear(8 * i, 8 * (i + 1)) for i in range(1, 7))

    def forward(self, ids: Any, labels: Any) -> Any:
        x = self.embedding(ids)
        for layer in self.layers:
            x = F.relu(layer(x))
        return x.sum()


def test_what_does_not_fold_says_why() -> None:
    found = fold(traced(Growing))
    assert isinstance(found, str) and "layer before it" in found
    assert fold(traced(lambda: Decoder(2))) == "there is no stack of layers"
