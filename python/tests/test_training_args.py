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
        ("bfloat16", {"bf16": True}, "bf16 under bf16"),
        ("float16", {}, "fp16"),
        ("float16", {"bf16": True}, "fp16 under bf16"),
    ],
)
def test_bf16_is_autocast_over_the_weights_dtype(dtype: str | None, fields: dict[str, Any], precision: str) -> None:
    config = {"model_type": "gpt2", "dtype": dtype}
    report = asked(config, **fields)
    kept, _, autocast = precision.partition(" under ")
    same = estimate(config, **RECIPE, optimizer_impl="fused", precision=kept, autocast=autocast or None)
    assert report.ledger == same.ledger
    assert report.not_understood == ()


def test_autocast_is_over_the_weights_that_the_call_says() -> None:
    half = estimate("gpt2", **RECIPE, optimizer_impl="fused", precision="bf16", autocast="bf16")
    assert asked(options={"precision": "bf16"}, bf16=True).ledger == half.ledger
    mixed = estimate("gpt2", **RECIPE, optimizer_impl="fused", precision="bf16-mixed")
    assert asked(options={"precision": "bf16-mixed"}, bf16=True).ledger == mixed.ledger


def test_a_scaler_of_half_gradients_is_refused() -> None:
    lora = {"lora_rank": 4, "lora_targets": "c_attn"}
    assert asked({"model_type": "gpt2", "dtype": "float16"}, lora, fp16=True).peak.tensor_bytes > 0
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
    fields: dict[str, Any] = {"neftune_noise_alpha": 5, "eval_on_start": True, "full_determinism": True, "new": "x"}
    report = asked(optim="sgd", weight_decay=0.1, **fields)
    listed = [line.split("=")[0] for line in report.not_understood]
    assert listed == ["weight_decay", "neftune_noise_alpha", "eval_on_start", "full_determinism", "new"]


def test_evaluation_is_of_its_own_batch() -> None:
    report = asked(eval_strategy="steps", per_device_eval_batch_size="2")
    assert report.ledger == asked(options={"eval_batch": 2}).ledger and report.not_understood == ()
    assert "evaluate" in {phase.phase for phase in report.phases}
    assert asked(eval_strategy="steps").ledger == asked(options={"eval_batch": 8}).ledger
    sharded = asked({"model_type": "llama", "num_hidden_layers": 2}, {"fsdp": 2}, fsdp=True, eval_strategy="steps")
    assert sharded.not_understood == () and any("evaluation:" in line for line in sharded.assumptions)


def test_checkpointing_is_read_by_both_names() -> None:
    by_the_old = {"activation_checkpointing": None, "gradient_checkpointing_kwargs": {"use_reentrant": True}}
    same = estimate("gpt2", **{**RECIPE, "checkpointing": "full-reentrant"}, optimizer_impl="fused")
    assert asked(**by_the_old).ledger == same.ledger
    assert asked(**by_the_old, activation_checkpointing_kwargs={"use_reentrant": False}).ledger == asked().ledger
    off = estimate("gpt2", **{**RECIPE, "checkpointing": "none"}, optimizer_impl="fused")
    assert asked(activation_checkpointing=False, gradient_checkpointing=True).ledger == off.ledger
    assert asked(activation_checkpointing_kwargs={"use_reentrant": False, "every_n_layers": 2}).not_understood


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
        peakmem.from_training_args("gpt2", object())
    with pytest.raises(InputError):
        peakmem.from_training_args("gpt2", ["bf16"])


def test_what_a_dict_does_not_say_is_at_its_default() -> None:
    bare = peakmem.from_training_args("gpt2", {}, seq=64)
    assert bare.ledger == estimate("gpt2", batch=8, seq=64, clip_grad=True, optimizer_impl="fused").ledger
    assert bare.not_understood == ()
    assert "clip" in {phase.phase for phase in bare.phases}
    unclipped = peakmem.from_training_args("gpt2", {"max_grad_norm": None}, seq=64)
    assert unclipped.phases == bare.phases  # the norm is taken all the same


def test_texts_are_what_they_say() -> None:
    texts = {
        "per_device_train_batch_size": "2",
        "gradient_accumulation_steps": "4",
        "max_grad_norm": "1e-1",
        "weight_decay": "0",
        "bf16": "true",
        "fp16": "False",
        "gradient_checkpointing": "yes",
        "gradient_checkpointing_kwargs": '{"use_reentrant": true}',
        "torch_compile": "no",
        "label_smoothing_factor": "0.0",
    }
    same = {**RECIPE, "batch": 2, "precision": "bf16-mixed", "checkpointing": "full-reentrant", "optimizer_impl": "fused"}
    report = peakmem.from_training_args("gpt2", texts, seq=64)
    assert report.ledger == estimate("gpt2", **same).ledger and report.not_understood == ()


def test_names_of_transformers_4_are_known() -> None:
    report = peakmem.from_training_args("gpt2", {"per_gpu_train_batch_size": 2, "evaluation_strategy": "no"}, seq=64)
    assert report.ledger == peakmem.from_training_args("gpt2", {"per_device_train_batch_size": 2}, seq=64).ledger


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"per_device_train_batch_size": "eight"}, "per_device_train_batch_size"),
        ({"per_device_train_batch_size": 1.5}, "per_device_train_batch_size"),
        ({"gradient_accumulation_steps": True}, "gradient_accumulation_steps"),
        ({"max_grad_norm": "much"}, "max_grad_norm"),
        ({"bf16": "maybe"}, "bf16"),
        ({"bf16": True, "fp16": True}, "fp16"),
        ({"fsdp_config": "fsdp.json"}, "fsdp_config"),
        ({"evaluation_strategy": "no", "eval_strategy": "steps"}, "evaluation_strategy"),
        ({"no_cuda": True}, "use_cpu"),
    ],
)
def test_values_that_are_none_are_refused(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as caught:
        peakmem.from_training_args("gpt2", fields)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "fields", [{"torch_compile": True}, {"torch_compile_backend": "inductor"}, {"torch_compile_mode": "max-autotune"}]
)
def test_a_compiled_model_is_refused_whatever_switches_it_on(fields: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        asked(**fields)
    assert caught.value.field in fields and "compil" in str(caught.value)


def test_accelerate_may_have_set_the_precision() -> None:
    assert asked(mixed_precision="bf16").ledger == asked(bf16=True).ledger


def test_what_was_not_understood_is_shown() -> None:
    report = asked(options={"gpu": "t4"}, full_determinism=True)
    for shown in (str(report), report._repr_html_()):
        assert "full_determinism=True" in shown and "weights: fp32" in shown
    assert "Not understood" not in str(asked())


def test_fsdp_is_over_the_ranks_of_the_run() -> None:
    llama = {"model_type": "llama", "num_hidden_layers": 2}
    launched = asked(llama, fsdp=True, world_size=2)
    assert launched.ledger == asked(llama, {"fsdp": 2}, fsdp="full_shard auto_wrap").ledger
    assert launched.ledger == asked(llama, {"fsdp": 2}).ledger
    kept = asked(llama, {"fsdp": 2}, fsdp=True, fsdp_config={"reshard_after_forward": "false"})
    assert kept.ledger == asked(llama, {"fsdp": 2, "no_reshard_after_forward": True}).ledger != launched.ledger
    odd = asked(llama, {"fsdp": 2}, fsdp=True, fsdp_config={"fsdp_cpu_offload": True, "min_num_params": 0})
    assert odd.not_understood == ("fsdp_config: cpu_offload may shard otherwise",)
    flat = asked(llama, {"fsdp": 2}, fsdp=True, fsdp_config={"version": 1, "backward_prefetch": "BACKWARD_PRE", "reshard_after_forward": "shard_grad_op"})
    assert flat.ledger == asked(llama, {"fsdp": 2, "fsdp_version": 1, "fsdp_prefetch": "pre"}).ledger != launched.ledger
    with pytest.raises(InputError, match="a strategy of FSDP1"):
        asked(llama, {"fsdp": 2}, fsdp=True, fsdp_config={"reshard_after_forward": "shard_grad_op"})
    with pytest.raises(InputError):
        asked(llama, {"fsdp": 2}, fsdp="hybrid_shard")


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
