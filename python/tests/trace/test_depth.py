"""Many layers that are alike: a few are traced, and the answer is that of all."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import pytest
import torch
from models import Block, Decoder, batch

import peakmem

LAYERS = 14


def said(trace: Any) -> bool:
    return any("their number set" in note for note in trace.notes)


def of_all(monkeypatch: pytest.MonkeyPatch, *args: Any, **options: Any) -> Any:
    """The trace of every layer."""
    importlib.import_module("peakmem.trace._trace")
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["peakmem.trace._trace"], "trace_short", lambda *_: None)
        return peakmem.trace(*args, **options)


def members(trace: Any) -> dict[str, Any]:
    return {name: value for name, value in trace.members.items() if name != "notes"}


class Alternating(Decoder):
    """Every second layer is wider inside."""

    def __init__(self) -> None:
        super().__init__(2 * LAYERS)
        for layer in self.layers[1::2]:
            layer.up, layer.down = torch.nn.Linear(32, 96), torch.nn.Linear(96, 32)


class Bridged(Decoder):
    """What layer 3 makes is added at layer 9: nothing in the layers says so."""

    def forward(self, ids: Any, labels: Any) -> Any:
        x = self.tokens(ids)
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number == 3:
                bridge = x
            if number == 9:
                x = x + bridge
        logits = self.head(self.norm(x))
        return logits, torch.nn.functional.cross_entropy(logits.view(-1, logits.shape[-1]), labels.view(-1))


def one_otherwise(layers: Any) -> None:
    layers[9].dropout = 0.0


def one_shared(layers: Any) -> None:
    layers[9] = layers[8]


def one_frozen(layers: Any) -> None:
    layers[9].up.weight.requires_grad_(False)


def one_with_a_hook(layers: Any) -> None:
    layers[9].register_forward_hook(lambda module, args, output: output + 1)


@pytest.mark.parametrize(
    "options",
    [{}, {"clip_grad": 1.0, "accumulate": 2, "precision": "bf16-mixed"}, {"optimizer": "sgd", "optimizer_impl": "loop"}],
)
def test_the_answer_is_that_of_all_layers(monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]) -> None:
    def make() -> Any:
        return Decoder(LAYERS)

    short = peakmem.trace(make, batch(), **options)
    assert said(short)
    assert members(short) == members(of_all(monkeypatch, make, batch(), **options))


def test_kinds_that_alternate(monkeypatch: pytest.MonkeyPatch) -> None:
    short = peakmem.trace(Alternating, batch())
    assert said(short)
    assert members(short) == members(of_all(monkeypatch, Alternating, batch()))


def test_a_live_model_has_all_its_layers_again() -> None:
    model = Decoder(LAYERS)
    before = list(model.named_parameters())
    assert said(peakmem.trace(model, batch()))
    after = list(model.named_parameters())
    assert [name for name, _ in after] == [name for name, _ in before]
    assert all(a is b for (_, a), (_, b) in zip(after, before))
    assert isinstance(model.layers[LAYERS - 1], Block)


@pytest.mark.parametrize("change", [one_otherwise, one_shared, one_frozen, one_with_a_hook])
def test_layers_that_are_not_alike_are_all_traced(change: Any) -> None:
    def make() -> Any:
        model = Decoder(LAYERS)
        change(model.layers)
        return model

    assert not said(peakmem.trace(make, batch()))


def test_what_a_loop_does_at_one_layer_is_seen() -> None:
    assert not said(peakmem.trace(lambda: Bridged(LAYERS), batch()))
