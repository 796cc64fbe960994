"""Live models are what their class and their config make them, or are refused by name."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import peakmem
import pytest
from peakmem import InputError
from stand_ins import Config, Module, Parameter, live

SMALL: dict[str, Any] = {
    "model_type": "llama",
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "vocab_size": 100,
}
UP = "model.layers.0.mlp.up_proj"


def small(**fields: Any) -> Any:
    return live({**SMALL, **fields}, "LlamaForCausalLM")


def refused(model: Any, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        peakmem.estimate(model, seq=64, **options)
    assert caught.value.field == "model"
    return caught.value.problem


def test_a_model_as_it_was_built_is_its_config() -> None:
    assert peakmem.estimate(small(), seq=64).ledger == peakmem.estimate(SMALL, seq=64).ledger


def test_dtype_attention_and_frozen_parameters_are_the_models() -> None:
    gpt2 = {"model_type": "gpt2"}
    half = live(gpt2, "GPT2LMHeadModel", "torch.bfloat16", "eager")
    report = peakmem.estimate(half, seq=64)
    assert report.ledger == peakmem.estimate("gpt2", seq=64, precision="bf16", attention="eager").ledger
    half.at("transformer.wpe")._parameters["weight"].requires_grad = False
    assert peakmem.estimate(half, seq=64).parameters.trainable == report.parameters.trainable - 1024 * 768
    told = peakmem.estimate(live(gpt2, "GPT2LMHeadModel", "torch.bfloat16"), precision="fp32", seq=64)
    assert told.ledger == peakmem.estimate("gpt2", seq=64).ledger


def test_the_class_says_the_task_whatever_the_checkpoint_was() -> None:
    config = {"model_type": "bert", "num_hidden_layers": 1, "architectures": ["BertForMaskedLM"]}
    assert peakmem.config(live(config, "BertForSequenceClassification")).task == "sequence-classification"


def test_eval_mode_is_said() -> None:
    model = small()
    model.training = False
    report = peakmem.estimate(model, seq=64)
    assert report.assumptions[-1] == "mode: training, as model.train() sets it; 1 of its modules are in eval mode now"
    assert report.assumptions[-1] in str(report).replace("\n    ", " ")
    assert report.ledger == peakmem.estimate(SMALL, seq=64).ledger


def layer(on: bool, **keywords: Any) -> Any:
    """Stands for a layer that can be checkpointed."""

    def checkpoint() -> None: ...

    checkpoint.__qualname__ = "checkpoint"
    made = type("LlamaDecoderLayer", (GradientCheckpointingLayer,), {"__module__": "transformers.x"})()
    made.gradient_checkpointing = on
    made._gradient_checkpointing_func = functools.partial(checkpoint, **keywords)
    return made


class GradientCheckpointingLayer(Module):
    __module__ = "transformers.modeling_layers"


def checkpointed(*layers: Any) -> Any:
    model = small()
    for i, made in enumerate(layers):
        made._modules = model.at(f"model.layers.{i}")._modules
        model.at("model.layers")._modules[str(i)] = made
    return model


@pytest.mark.parametrize(
    ("keywords", "checkpointing"),
    [({"use_reentrant": False}, "full"), ({"use_reentrant": True, "preserve_rng_state": False}, "full-reentrant")],
)
def test_checkpointing_is_as_it_was_enabled(keywords: dict[str, Any], checkpointing: str) -> None:
    report = peakmem.estimate(checkpointed(layer(True, **keywords), layer(True, **keywords)), seq=64)
    assert report.ledger == peakmem.estimate(SMALL, seq=64, checkpointing=checkpointing).ledger
    told = peakmem.estimate(checkpointed(layer(True), layer(True)), seq=64, checkpointing="none")
    assert told.ledger == peakmem.estimate(SMALL, seq=64).ledger


def test_checkpointing_of_another_kind_is_refused() -> None:
    assert "but not model.layers.1" in refused(checkpointed(layer(True), layer(False)))
    assert "context_fn" in refused(checkpointed(layer(True, context_fn=print), layer(True)))
    offloaded = layer(True)
    offloaded._gradient_checkpointing_func = functools.partial(functools.lru_cache)
    assert "lru_cache" in refused(checkpointed(offloaded, layer(True)))


def drop(path: str) -> Callable[[Any], None]:
    parent, _, name = path.rpartition(".")
    return lambda model: model.at(parent)._modules.pop(name)


def put(path: str, name: str, value: Any) -> Callable[[Any], None]:
    return lambda model: setattr(model.at(path), name, value)


def parameter(path: str, value: Any) -> Callable[[Any], None]:
    module, _, name = path.rpartition(".")
    return lambda model: model.at(module)._parameters.update({name: value})


def tie(model: Any) -> None:
    model.at("lm_head")._parameters["weight"] = model.at("model.embed_tokens")._parameters["weight"]


def of_class(module: str, name: str, **members: Any) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        made = type(name, (Module,), {"__module__": module, **members})()
        made._parameters = model.at(UP)._parameters
        model.at(UP.rpartition(".")[0])._modules["up_proj"] = made

    return change


def hook() -> None: ...


def forward(self: Any) -> None: ...


HOOKED = Parameter((128, 64))
HOOKED._post_accumulate_grad_hooks = {0: hook}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        (drop("model.layers.1"), ["has no model.layers.1.self_attn.q_proj.weight [64, 64]", "and 6 more"]),
        (parameter("extra.weight", Parameter((4, 3))), ["extra.weight [4, 3] besides", "95,052", "95,040 are traced"]),
        (parameter(UP + ".bias", Parameter((128,))), [UP + ".bias [128] besides"]),
        (parameter(UP + ".weight", Parameter((99, 64))), [f"has {UP}.weight [99, 64], traced [128, 64]"]),
        (parameter(UP + ".weight", Parameter((128, 64), "torch.bfloat16")), [f"{UP}.weight in bfloat16", "float32"]),
        (tie, ["lm_head.weight tied to model.embed_tokens.weight"]),
        (of_class("my.code", "Linear"), [f"my.code.Linear at {UP}"]),
        (of_class("torch._dynamo.eval_frame", "OptimizedModule"), [f"OptimizedModule at {UP}"]),
        (of_class("torch.nn.modules.linear", "Linear", forward=forward), ["another Linear.forward, of test_live"]),
        (put(UP, "forward", forward), [f"another forward at {UP}, of test_live"]),
        (put(UP, "_compiled_call_impl", forward), [f"compiled by torch.compile at {UP}"]),
        (put(UP, "_forward_hooks", {0: hook}), [f"a forward hook at {UP}: hook"]),
        (put(UP, "_forward_pre_hooks", {0: hook}), [f"a forward pre-hook at {UP}: hook"]),
        (put(UP, "_backward_hooks", {0: hook}), [f"a backward hook at {UP}: hook"]),
        (parameter(UP + ".weight", HOOKED), [f"gradient of {UP}.weight"]),
    ],
)  # fmt: skip
def test_what_was_changed_by_hand_is_named(change: Callable[[Any], None], problems: list[str]) -> None:
    model = small()
    change(model)
    problem = refused(model)
    for each in problems:
        assert each in problem


def test_transformers_own_hooks_are_modelled() -> None:
    def make_inputs_require_grads() -> None: ...

    model = small()
    model.at("model.embed_tokens")._forward_hooks = {0: make_inputs_require_grads}
    assert peakmem.estimate(model, seq=64).ledger == peakmem.estimate(SMALL, seq=64).ledger


def test_wrapped_models_are_named() -> None:
    assert "torch.compile" in refused(SimpleNamespace(_orig_mod=small(), config=Config(SMALL)))
    with pytest.raises(InputError, match=r"\.module"):
        peakmem.estimate(SimpleNamespace(module=small()))
    frozen = small()
    for _, each in frozen.named_parameters():
        each.requires_grad = False
    assert "no parameter that trains" in refused(frozen)


def test_a_weight_that_its_config_ties_is_not_another_one() -> None:
    model = small(tie_word_embeddings=True)
    assert peakmem.estimate(model, seq=64).parameters.total == 88640
    parameter("lm_head.weight", Parameter((100, 64)))(model)
    assert "lm_head.weight [100, 64] besides" in refused(model)


def test_with_torch_itself() -> None:
    nn = pytest.importorskip("torch").nn
    transformers = pytest.importorskip("transformers")

    def built() -> Any:
        return transformers.LlamaForCausalLM(transformers.LlamaConfig(**SMALL))

    model = built()
    assert peakmem.estimate(model, seq=64).ledger == peakmem.estimate(SMALL, seq=64).ledger
    assert [row.name for row in peakmem.parameters(model)] == [name for name, _ in model.named_parameters()]
    model.gradient_checkpointing_enable({"use_reentrant": False})
    assert peakmem.estimate(model, seq=64).ledger == peakmem.estimate(SMALL, seq=64, checkpointing="full").ledger
    model.model.layers[0].mlp.act_fn = nn.ReLU()
    assert f"a ReLU at {UP.replace('up_proj', 'act_fn')}" in refused(model)
    model = built()
    del model.model.layers[1]
    assert "has no model.layers.1" in refused(model)
    model = built()
    model.model.layers[0].self_attn.attention_dropout = 0.5
    assert "attention_dropout=0.5" in refused(model)
    model = built()
    model.model.layers[0].compile()
    assert "torch.compile at model.layers.0" in refused(model)
