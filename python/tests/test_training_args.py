"""transformers' TrainingArguments as options; the recorded ones are version 5.23's."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import peakmem
import pytest
from peakmem import InputError
from peakmem import _training_args as reader

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "training_arguments.json").read_text())


#: Trainer's own loop, where the core has it.
LOOP = {"trainer": "hf"} if any(row.name == "trainer" for row in peakmem.options()) else {}


#: What the recorded run says beside its batch and its optimizer.
RECIPE: dict[str, Any] = {"seq": 64, "accumulate": 4, "checkpointing": "full", "clip_grad": True}


def estimate(model: Any, **options: Any) -> peakmem.Report:
    return peakmem.estimate(model, **{**LOOP, **options})


def asked(model: Any = "gpt2", options: dict[str, Any] | None = None, **fields: Any) -> peakmem.Report:
    return peakmem.from_training_args(model, {**RECORDED, **fields}, **{"seq": 64, **(options or {})})


def test_every_field_of_5_23_is_known() -> None:
    known = reader.USED | reader.HARMLESS | set(reader.AT) | set(reader.REFUSED)
    assert set(RECORDED) - known == set()
    groups = [reader.USED, reader.HARMLESS, set(reader.AT), set(reader.REFUSED)]
    assert sum(map(len, groups)) == len(known)


def test_the_recorded_run_is_what_it_says() -> None:
    report = asked()
    same = estimate("gpt2", batch=8, **RECIPE, optimizer="adamw", optimizer_impl="fused")
    assert report.ledger == same.ledger and report.peak == same.peak
    assert report.not_understood == ()
    assert any(line.startswith("weights: fp32") for line in report.assumptions)


def test_an_object_is_read_like_its_fields() -> None:
    args = SimpleNamespace(**RECORDED, _n_gpu=1)
    assert peakmem.from_training_args("gpt2", args, seq=64).ledger == asked().ledger


@pytest.mark.parametrize(
    ("dtype", "fields", "precision"),
    [
        (None, {}, "fp32"),
        (None, {"bf16": True}, "bf16-mixed"),
        (None, {"fp16": True}, "fp16-mixed"),
        ("bfloat16", {}, "bf16"),
        ("bfloat16", {"bf16": True}, "bf16"),
        ("float16", {}, "fp16"),
    ],
)
def test_bf16_is_autocast_over_the_weights_dtype(dtype: str | None, fields: dict[str, Any], precision: str) -> None:
    config = {"model_type": "gpt2", "dtype": dtype}
    report = asked(config, **fields)
    same = estimate(config, **RECIPE, optimizer_impl="fused", precision=precision)
    assert report.ledger == same.ledger
    assert bool(report.not_understood) == (dtype == "bfloat16" and "bf16" in fields)


def test_autocast_over_half_weights_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        asked({"model_type": "gpt2", "torch_dtype": "float16"}, fp16=True)
    assert caught.value.field == "fp16"
    with pytest.raises(InputError):
        asked({"model_type": "gpt2", "dtype": "float64"})


@pytest.mark.parametrize(("name", "mapped"), list(reader.OPTIMIZERS.items()))
def test_every_optimizer_of_the_table_is_the_cores(name: str, mapped: tuple[str, str]) -> None:
    report = asked(optim=name)
    same = estimate("gpt2", **RECIPE, optimizer=mapped[0], optimizer_impl=mapped[1] or None)
    assert report.ledger == same.ledger


def test_other_optimizers_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        asked(optim="galore_adamw")
    assert caught.value.field == "optim" and "adamw_torch" in caught.value.hint


def test_what_may_matter_is_listed() -> None:
    fields: dict[str, Any] = {"torch_compile": True, "neftune_noise_alpha": 5, "eval_strategy": "steps", "new": "x"}
    report = asked(optim="sgd", weight_decay=0.1, **fields)
    listed = [line.split("=")[0] for line in report.not_understood]
    assert listed == ["weight_decay", "eval_strategy", "torch_compile", "neftune_noise_alpha", "new"]


def test_checkpointing_is_read_by_both_names() -> None:
    reentrant = asked(activation_checkpointing=False, gradient_checkpointing_kwargs={"use_reentrant": True})
    same = estimate("gpt2", **{**RECIPE, "checkpointing": "full-reentrant"}, optimizer_impl="fused")
    assert reentrant.ledger == same.ledger
    assert asked(activation_checkpointing_kwargs={"every_n_layers": 2}).not_understood


def test_liger_is_estimated_or_said_not_to_be() -> None:
    report = asked({"model_type": "llama", "num_hidden_layers": 2}, use_liger_kernel=True)
    assert any(row.name == "kernels" for row in peakmem.options()) != bool(report.not_understood)


def test_clipping_is_what_max_grad_norm_says() -> None:
    off = estimate("gpt2", **{**RECIPE, "clip_grad": False}, optimizer_impl="fused")
    assert asked(max_grad_norm=0).ledger == off.ledger


@pytest.mark.parametrize(
    ("field", "value"),
    [("deepspeed", "z.json"), ("use_cpu", True), ("fsdp", "full_shard"), ("fsdp", True), ("parallelism_config", {})],
)
def test_another_job_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InputError) as caught:
        asked(**{field: value})
    assert caught.value.field == field


def test_what_the_arguments_do_not_say_is_asked_beside_them() -> None:
    half = {"model_type": "gpt2", "dtype": "bfloat16"}
    assert asked(options={"batch": 2, "precision": "bf16"}).ledger == asked(half, per_device_train_batch_size=2).ledger
    sharded = asked({"model_type": "llama", "num_hidden_layers": 2}, {"fsdp": 2}, fsdp=True)
    assert sharded.peak.tensor_bytes > 0
    assert asked(world_size=2).ledger == asked(options={"ddp": 2}).ledger


def test_ddp_is_as_trainer_has_it() -> None:
    run: dict[str, Any] = {"world_size": 2, "gradient_checkpointing": False, "activation_checkpointing": False}
    assert asked(**run).ledger == asked(**run, ddp_find_unused_parameters=True).ledger
    assert asked(**run).ledger != asked(**run, ddp_find_unused_parameters=False).ledger


def test_what_are_no_arguments_is_refused() -> None:
    with pytest.raises(InputError):
        peakmem.from_training_args("gpt2", {})
    with pytest.raises(InputError):
        peakmem.from_training_args("gpt2", object())


def test_with_transformers_itself() -> None:
    transformers = pytest.importorskip("transformers")
    args = transformers.TrainingArguments("out", optim="adamw_torch", per_device_train_batch_size=2, report_to=[])
    config = transformers.GPT2Config(n_layer=2)
    report = peakmem.from_training_args(config, args, seq=64)
    assert report.not_understood == ()
    same = estimate({"model_type": "gpt2", "n_layer": 2}, batch=2, seq=64, clip_grad=True)
    assert report.ledger == same.ledger
    model = transformers.GPT2LMHeadModel(config)
    assert peakmem.from_training_args(model, args, seq=64).ledger == same.ledger
