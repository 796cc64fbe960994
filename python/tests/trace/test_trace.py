"""Models, factories, closures and blocks through peakmem.trace."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from levels import levels_of, phases_of
from models import Decoder, batch

import peakmem

SAME = ("scopes", "turns", "storages", "segments", "events", "phases", "weights", "parameters", "trained_parameters")


def numbers(trace: Any) -> dict[str, Any]:
    return {name: trace.members[name] for name in SAME}


class TestAPlainLoop:
    def test_of_one_layer_is_what_can_be_added_up(self) -> None:
        trace = peakmem.trace(
            lambda: torch.nn.Linear(8, 4, bias=False),
            torch.zeros(16, 8),
            loss=lambda outputs, inputs: outputs.sum(),
            optimizer="sgd",
        )
        weight, inputs, outputs, scalar = 8 * 4 * 4, 16 * 8 * 4, 16 * 4 * 4, 4
        steady = phases_of(trace.members, 2)
        # the batch and what the names of the last step hold while the next batch comes
        assert steady["input"].start == weight + inputs + outputs + scalar
        assert steady["input"].peak == steady["input"].start + inputs
        assert steady["forward"].end == weight + inputs + outputs + scalar
        # the seed of the gradient; the sum's is expanded, so that the weight's is made by one product
        assert steady["backward"].end == steady["forward"].end + weight
        assert steady["optimizer"].end == steady["forward"].end

    def test_is_the_same_live_by_a_factory_and_as_a_closure(self) -> None:
        data = batch()
        made = peakmem.trace(Decoder, data)
        live = Decoder()
        assert numbers(peakmem.trace(live, data)) == numbers(made)
        optimizer = torch.optim.AdamW(live.parameters(), lr=1e-3)
        names: dict[str, Any] = {}

        def step() -> None:
            names["batch"] = tuple(each.cuda() for each in data)
            names["outputs"] = live(*names["batch"])
            names["loss"] = names["outputs"][1]
            names["loss"].backward()
            optimizer.step()
            optimizer.zero_grad()

        closure = peakmem.trace(step)
        ours, theirs = levels_of(made.members), levels_of(closure.members)
        assert [(each.name, each.step, each.peak) for each in ours] == [(each.name, each.step, each.peak) for each in theirs]

    def test_leaves_what_it_was_given(self) -> None:
        live, data = Decoder(), batch()
        before = {name: each.clone() for name, each in live.state_dict().items()}
        peakmem.trace(live, data)
        assert all(torch.equal(each, before[name]) for name, each in live.state_dict().items())
        assert live.head.weight is live.tokens.weight
        assert not torch.cuda.is_available() and not torch.cuda.is_initialized()
        live(*data)[1].backward()  # and it trains
        with pytest.raises((AssertionError, RuntimeError)):
            torch.empty(1, device="cuda")

    def test_reaches_a_steady_step_with_all_categories(self) -> None:
        trace = peakmem.trace(Decoder, batch())
        assert not trace.warnings
        assert {each.step for each in levels_of(trace.members)} == {0, 1, 2}
        second = phases_of(trace.members, 2)
        assert list(second) == ["input", "forward", "backward", "optimizer"]
        assert second["input"].start == second["optimizer"].end
        weights = 4 * trace.members["parameters"]
        assert second["optimizer"].at_peak["optimizer"] == 2 * weights  # counters are on the CPU
        assert second["optimizer"].at_peak["gradients"] == weights
        assert second["backward"].at_peak["weights"] == weights

    def test_says_what_keeps_an_activation_and_where_it_was_made(self) -> None:
        members = peakmem.trace(Decoder, batch()).members
        scopes = {number: name for number, (_, name) in enumerate(members["scopes"])}
        kept = {(each[1], scopes[each[2]], each[6]) for each in members["storages"] if each[4] == "activations"}
        assert ("addmm", "up", "gelu") in kept
        assert ("gelu", "*", "addmm") in kept
        assert ("native_layer_norm", "norm1", "native_layer_norm") in kept

    @pytest.mark.parametrize("name", ["adam", "sgd-momentum", "adagrad", "rmsprop", "nadam", "adamax", "adadelta"])
    def test_takes_optimizers(self, name: str) -> None:
        trace = peakmem.trace(lambda: Decoder(1), batch(), optimizer=name)
        assert not trace.warnings
        optimizer = sum(each[0] for each in trace.members["storages"] if each[4] == "optimizer")
        assert optimizer >= 4 * trace.members["parameters"]

    def test_takes_foreach_where_a_gpu_does(self) -> None:
        chosen = peakmem.trace(lambda: Decoder(1), batch())
        foreach = peakmem.trace(lambda: Decoder(1), batch(), optimizer_impl="foreach")
        loop = peakmem.trace(lambda: Decoder(1), batch(), optimizer_impl="loop")
        fused = peakmem.trace(lambda: Decoder(1), batch(), optimizer_impl="fused")
        assert numbers(chosen) == numbers(foreach)
        peaks = [phases_of(each.members, 2)["optimizer"].peak for each in (foreach, loop, fused)]
        assert peaks[0] > peaks[1] > peaks[2]


    def test_moves_what_a_factory_leaves_on_the_cpu(self) -> None:
        class Legacy(torch.nn.Linear):
            def __init__(self) -> None:
                super().__init__(8, 4, bias=False)
                self.extra = torch.nn.Parameter(torch.Tensor(4))

            def forward(self, x: Any) -> Any:
                return (super().forward(x) + self.extra).sum()

        members = peakmem.trace(Legacy, torch.zeros(16, 8), optimizer="sgd").members
        assert sorted(each[0] for each in members["storages"] if each[4] == "weights") == [16, 128]


class TestOptions:
    def test_autocast_keeps_weights_and_halves_activations(self) -> None:
        plain = phases_of(peakmem.trace(lambda: Decoder(dropout=0.0), batch()).members, 2)
        mixed = phases_of(peakmem.trace(lambda: Decoder(dropout=0.0), batch(), precision="bf16-mixed").members, 2)
        assert mixed["input"].start < plain["input"].start  # the logits that the loop names
        assert mixed["optimizer"].at_peak["weights"] == plain["optimizer"].at_peak["weights"]

    def test_half_precision_halves_weights_and_states(self) -> None:
        plain = peakmem.trace(Decoder, batch(), precision="fp32").members
        half = peakmem.trace(Decoder, batch(), precision="bf16").members
        sums = [sum(each[0] for each in members["storages"] if each[4] == "weights") for members in (plain, half)]
        assert sums[0] == 2 * sums[1]

    def test_accumulation_has_micro_batches_and_clipping_a_phase(self) -> None:
        members = peakmem.trace(Decoder, batch(), accumulate=2, clip_grad=1.0).members
        found = [(name, micro) for step, micro, name, *_ in members["phases"] if step == 2]
        passes = [(name, micro) for micro in (0, 1) for name in ("input", "forward", "backward")]
        assert found == [*passes, ("clip", -1), ("optimizer", -1)]

    def test_checkpointing_by_hand_keeps_less(self, unfolded: None) -> None:
        class Checkpointed(Decoder):
            def forward(self, ids: Any, labels: Any) -> Any:
                for layer in self.layers:
                    layer.forward = self.again(type(layer).forward.__get__(layer))
                return super().forward(ids, labels)

            def again(self, forward: Any) -> Any:
                from torch.utils.checkpoint import checkpoint

                return lambda x: checkpoint(forward, x, use_reentrant=False)

        plain = phases_of(peakmem.trace(lambda: Decoder(6), batch()).members, 2)
        less = phases_of(peakmem.trace(lambda: Checkpointed(6), batch()).members, 2)
        assert less["forward"].end < plain["forward"].end
        assert less["backward"].end == plain["backward"].end

    def test_frozen_weights_gather_no_gradients(self) -> None:
        def make() -> Decoder:
            model = Decoder()
            for layer in model.layers:
                layer.requires_grad_(False)
            return model

        members = peakmem.trace(make, batch()).members
        assert members["trained_parameters"] < members["parameters"]
        backward = phases_of(members, 2)["optimizer"]
        assert backward.at_peak["gradients"] == 4 * members["trained_parameters"]


class TestABlock:
    def test_finds_phases_in_a_loop_of_ones_own(self) -> None:
        with peakmem.tracing(name="mine") as traced:
            model = Decoder().cuda()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            ids, labels = (each.cuda() for each in (torch.zeros(4, 16, dtype=torch.long),) * 2)
            assert torch.cuda.is_available()
            for _ in range(2):
                optimizer.zero_grad()
                model(ids, labels)[1].backward()
                optimizer.step()
            assert torch.cuda.memory_allocated() > 0
        assert traced.members["model"] == "mine"
        assert list(phases_of(traced.members, 2)) == ["input", "forward", "backward", "optimizer"]

    def test_a_reference_model_is_part_of_the_forward_pass(self) -> None:
        with peakmem.tracing() as traced:
            model, reference = Decoder().cuda(), Decoder().cuda().eval()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for _ in range(2):
                optimizer.zero_grad()
                ids = torch.zeros(4, 16, dtype=torch.long, device="cuda")
                logits, loss = model(ids, ids)
                with torch.no_grad():
                    expected = reference(ids, ids)[0]
                (loss + (logits - expected).square().mean()).backward()
                optimizer.step()
        assert list(phases_of(traced.members, 2)) == ["input", "forward", "backward", "optimizer"]

    def test_an_evaluation_is_between_steps(self) -> None:
        with peakmem.tracing() as traced:
            model = Decoder().cuda()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            ids = torch.zeros(4, 16, dtype=torch.long, device="cuda")
            for _ in range(3):
                model.train()
                model(ids, ids)[1].backward()
                optimizer.step()
                optimizer.zero_grad()
                model.eval()
                with torch.no_grad():
                    model(ids, ids)
        assert list(phases_of(traced.members, 2)) == ["input", "forward", "backward", "optimizer", "evaluate"]

    def test_what_a_loop_makes_before_its_first_step_and_after_its_last(self) -> None:
        """As transformers' Trainer: a sum of losses before all, and a batch that lives until there is another."""
        with peakmem.tracing() as traced:
            model = Decoder().cuda()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            total, kept = torch.zeros(1).cuda(), None
            for _ in range(4):
                ids = torch.zeros(4, 16, dtype=torch.long).cuda()
                kept = (ids, (ids != 3).sum() / 2)
                loss = model(ids, ids)[1]
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                total += loss.detach()
            del model, optimizer, kept, total
        assert not traced.warnings
        assert traced.report.peak.phase in ("forward", "backward", "optimizer")

    def test_tensors_of_before_are_refused(self) -> None:
        ids = torch.zeros(4, 16, dtype=torch.long)
        with pytest.raises(peakmem.InputError, match="made before the block"), peakmem.tracing():
            Decoder().cuda()(ids.cuda(), ids.cuda())

    def test_of_one_step_is_refused(self) -> None:
        with pytest.raises(peakmem.InputError, match="one training step"), peakmem.tracing():
            model = torch.nn.Linear(2, 2, device="cuda")
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            model(torch.zeros(2, 2, device="cuda")).sum().backward()
            optimizer.step()


class TestWhatCannotBeTraced:
    def test_says_where_a_model_fails(self) -> None:
        with pytest.raises(peakmem.InputError, match=r"models.py:\d+"):
            peakmem.trace(lambda: Decoder(length=8), (torch.zeros(4, 16, dtype=torch.float), batch()[1]))

    def test_wants_a_batch_or_a_step(self) -> None:
        with pytest.raises(peakmem.InputError, match="batch: is missing"):
            peakmem.trace(Decoder())
        with pytest.raises(peakmem.InputError, match="no training step"):
            peakmem.trace(lambda: None)

    def test_wants_a_loss_that_can_be_told(self) -> None:
        with pytest.raises(peakmem.InputError, match="loss"):
            peakmem.trace(lambda: torch.nn.Linear(2, 2), torch.zeros(2, 2))

    @pytest.mark.parametrize("wrong", [{"optimizer": "none"}, {"precision": "fp8"}, {"gpu": "none"}, {"accumulate": 0}])
    def test_names_an_option_that_is_wrong(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(peakmem.InputError, match=next(iter(wrong))):
            peakmem.trace(Decoder, batch(), **wrong)
