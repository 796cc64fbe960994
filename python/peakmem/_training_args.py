"""`transformers.TrainingArguments` (5.23) as options: every field is used, harmless, or said not to be understood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ._answers import Report, ask_report, option_rows
from ._ask import Model, Option, Subject, option_name, subject
from ._dtypes import precision_of
from ._errors import InputError
from ._training_fields import read_fields

#: `optim` as the core names it: the optimizer and its implementation, "" for what PyTorch picks.
OPTIMIZERS = {
    "adamw_torch": ("adamw", ""),
    "adamw_torch_fused": ("adamw", "fused"),
    "adafactor": ("hf-adafactor", ""),
    "sgd": ("sgd", ""),
    "adagrad": ("adagrad", ""),
    "rmsprop": ("rmsprop", ""),
    "adamw_bnb_8bit": ("adamw-8bit", ""),
    "rmsprop_bnb_32bit": ("rmsprop-bnb", ""),
    **{
        name: (name.replace("_", "-"), "")
        for name in """adamw_8bit paged_adamw_32bit paged_adamw_8bit lion_32bit lion_8bit paged_lion_32bit
        paged_lion_8bit ademamix ademamix_8bit paged_ademamix_32bit paged_ademamix_8bit rmsprop_bnb
        rmsprop_bnb_8bit""".split()
    },
}

#: Optimizers whose step allocates more where weights decay; the core knows them without.
DECAY_IN_GRADIENT = ("sgd", "adagrad", "rmsprop")

USED = frozenset(
    """per_device_train_batch_size gradient_accumulation_steps max_grad_norm optim bf16 fp16 weight_decay
    activation_checkpointing activation_checkpointing_kwargs gradient_checkpointing gradient_checkpointing_kwargs
    eval_strategy per_device_eval_batch_size use_cache use_liger_kernel liger_kernel_config accelerator_config
    mixed_precision world_size fsdp ddp_bucket_cap_mb ddp_find_unused_parameters fsdp_config""".split()
)

#: Fields that change no byte of a training step on the device.
HARMLESS = frozenset(
    """output_dir num_train_epochs max_steps learning_rate lr_scheduler_type lr_scheduler_kwargs warmup_steps
    warmup_ratio adam_beta1 adam_beta2 adam_epsilon average_tokens_across_devices bf16_full_eval fp16_full_eval tf32
    logging_dir logging_strategy logging_steps logging_first_step log_on_each_node logging_nan_inf_filter
    include_num_input_tokens_seen include_tokens_per_second log_level log_level_replica disable_tqdm report_to run_name
    project trackio_space_id trackio_bucket_id trackio_static_space_id eval_steps eval_delay
    prediction_loss_only eval_do_concat_batches eval_use_gather_object eval_accumulation_steps include_for_metrics
    batch_eval_metrics do_eval do_predict do_train save_only_model save_strategy save_steps save_on_each_node
    save_total_limit save_safetensors enable_jit_checkpoint push_to_hub hub_token hub_private_repo hub_model_id
    hub_strategy hub_always_push hub_revision load_best_model_at_end metric_for_best_model greater_is_better
    ignore_data_skip restore_callback_states_from_checkpoint seed data_seed dataloader_drop_last dataloader_num_workers
    dataloader_pin_memory dataloader_persistent_workers dataloader_prefetch_factor dataloader_multiprocessing_context
    dataloader_in_order remove_unused_columns label_names train_sampling_strategy group_by_length length_column_name
    ddp_backend ddp_broadcast_buffers ddp_timeout skip_memory_metrics resume_from_checkpoint
    local_rank past_index jit_mode_eval distributed_state deepspeed_plugin fsdp_plugin_args
    overwrite_output_dir""".split()
)

#: Fields that change no byte at these values, and the reason they are not understood at others.
AT: dict[str, tuple[tuple[object, ...], str]] = {
    "neftune_noise_alpha": ((None, 0, 0.0), "noise is added to the embeddings"),
    "label_smoothing_factor": ((None, 0, 0.0), "the smoothed loss is another one"),
    "torch_empty_cache_steps": ((None,), "what is reserved is given back"),
    "auto_find_batch_size": ((None, False), "the batch is whatever fits"),
    "optim_args": ((None, ""), "the optimizer's own arguments"),
    "optim_target_modules": ((None,), "only some modules have the optimizer"),
    "full_determinism": ((None, False), "deterministic kernels allocate otherwise"),
    "eval_on_start": ((None, False), "evaluation is not traced"),
    "ddp_static_graph": ((None, False), "DDP treats a static graph otherwise"),
    "debug": ((None, [], "", ()), "debugging keeps tensors"),
}

COMPILED = "compiles the model, and compiled code allocates otherwise and is not modelled"
EAGER = "leave torch_compile, torch_compile_backend and torch_compile_mode out"

#: Fields of which other values than these make another job.
REFUSED: dict[str, tuple[tuple[object, ...], str, str]] = {
    "use_cpu": ((None, False), "trains on the CPU", "Peakmem predicts the memory of GPUs"),
    "deepspeed": ((None, False, "", {}), "is not modelled", "fsdp=8, FSDP2 over 8 ranks, shards as ZeRO 3 does"),
    "torch_compile": ((None, False), COMPILED, EAGER),
    "torch_compile_backend": ((None,), COMPILED, EAGER),  # TrainingArguments switches compilation on for it
    "torch_compile_mode": ((None,), COMPILED, EAGER),
    "parallelism_config": ((None,), "is not modelled", "pass fsdp=8 for FSDP2 over 8 ranks"),
}


@dataclass
class Reading:
    """What the fields come to."""

    fields: Mapping[str, Any]
    options: dict[str, Option] = field(default_factory=dict)
    assumptions: list[str] = field(default_factory=list)
    not_understood: list[str] = field(default_factory=list)

    def get(self, name: str, otherwise: Any = None) -> Any:
        value = self.fields.get(name, otherwise)
        return otherwise if value is None else value

    def first(self, *names: str) -> tuple[str, Any]:
        """The first of the fields that is said, by its name; the last where none is."""
        said = next((name for name in names if self.fields.get(name) is not None), names[-1])
        return said, self.fields.get(said)

    def knows(self, option: str) -> bool:
        """Whether the core has that option."""
        return any(row.name == option for row in option_rows())

    def doubt(self, name: str, why: str) -> None:
        self.not_understood.append(f"{name}={self.fields[name]!r}: {why}")


def from_training_args(model: Model, args: Mapping[str, Any] | object, **options: Option) -> Report:
    """The estimate of a run of transformers' Trainer.

    Args:
        model: as in `estimate`. TrainingArguments do not say in which dtype the weights are: a live model does, else
            its config's `dtype`, else they are taken to be float32; the report's assumptions say which.
        args: a `transformers.TrainingArguments`, or a dict of its fields: those that are absent have the defaults of
            transformers 5.23, numbers and flags may be texts. The class refuses `bf16=True` where there is no GPU;
            a dict needs none.
        options: what the arguments do not say, such as `seq` and `gpu`; they also replace what is read from `args`.

    Returns:
        The report. `not_understood` lists the fields that were not used and may change the answer.

    Raises:
        InputError: for an optimizer that is not known, or arguments that make another job (DeepSpeed, the CPU).
    """
    reading = Reading(read_fields(args))
    asked = subject(model, options)
    read_run(reading)
    read_optimizer(reading)
    read_checkpointing(reading)
    read_others(reading, asked)
    read_precision(reading, asked)
    given = {option_name(keyword) for keyword, value in options.items() if value is not None}
    reading.options = {name: value for name, value in reading.options.items() if name not in given}
    report = report_of_trainer(asked.changed(reading.options), reading)
    return replace(
        report,
        assumptions=(*reading.assumptions, *report.assumptions),
        not_understood=tuple(reading.not_understood),
    )


def report_of_trainer(asked: Subject, reading: Reading) -> Report:
    """The report with Trainer's own loop; where the core has not measured that, with a plain one, said so."""
    try:
        return ask_report(asked)
    except InputError as error:
        if error.field != "trainer" or asked.options.get("trainer") != "hf":
            raise
        reading.assumptions.append(f"trainer: a plain loop, for {error.problem}")
        plain = {"trainer": None, "keep-outputs": asked.options.get("keep-outputs") or "no"}
        return report_of_trainer(asked.changed(plain), reading)


def text_of(value: object) -> str:
    """An enum's value or a text."""
    return str(getattr(value, "value", value))


def read_run(reading: Reading) -> None:
    reading.options["batch"] = reading.get("per_device_train_batch_size", 8)
    reading.options["accumulate"] = reading.get("gradient_accumulation_steps", 1)
    reading.options["clip-grad"] = (reading.fields.get("max_grad_norm", 1.0) or 0) > 0
    ranks = reading.get("world_size", 1)
    if ranks > 1 and not reading.get("fsdp"):
        reading.options["ddp"] = ranks
        if reading.get("ddp_bucket_cap_mb") is not None:
            reading.options["bucket-mb"] = reading.get("ddp_bucket_cap_mb")
        if reading.get("ddp_find_unused_parameters") is not None:
            reading.options["find-unused"] = "yes" if reading.get("ddp_find_unused_parameters") else "no"
    reading.options["trainer"] = "hf"
    config = reading.get("accelerator_config", {})
    split = config.get("split_batches") if isinstance(config, Mapping) else getattr(config, "split_batches", False)
    if split:
        reading.doubt("accelerator_config", "split_batches makes a rank's batch smaller")


def read_optimizer(reading: Reading) -> None:
    name = text_of(reading.get("optim", "adamw_torch_fused"))
    if name not in OPTIMIZERS:
        raise InputError("optim", f'"{name}" is not modelled', f"known: {', '.join(OPTIMIZERS)}")
    optimizer, impl = OPTIMIZERS[name]
    reading.options["optimizer"] = optimizer
    if impl:
        reading.options["optimizer-impl"] = impl
    if optimizer in DECAY_IN_GRADIENT and reading.get("weight_decay", 0) != 0:
        reading.doubt("weight_decay", f"the step of {name} allocates more with it")
    reading.assumptions.append("optimizer: all parameters in one group, of which Trainer makes two by weight decay")


def read_checkpointing(reading: Reading) -> None:
    """The new name is heard before the old one (training_args.py, __post_init__)."""
    if not reading.first("activation_checkpointing", "gradient_checkpointing")[1]:
        return
    name, how = reading.first("activation_checkpointing_kwargs", "gradient_checkpointing_kwargs")
    how = dict(how or {"use_reentrant": False})  # as transformers 5 has it (modeling_utils.py)
    # torch's own default is reentrant, where there are keywords but not this one.
    reading.options["checkpointing"] = "full" if how.pop("use_reentrant", None) is False else "full-reentrant"
    harmless = {"every_n_layers": (1,), "offload": (False,), "preserve_rng_state": (True, False)}
    if any(value not in harmless.get(key, ()) for key, value in how.items()):
        reading.doubt(name, "checkpoints in another way")


def read_precision(reading: Reading, asked: Subject) -> None:
    """bf16 and fp16 are autocast over the weights as they were loaded."""
    weights, source = weights_precision(asked)
    if weights.endswith("-mixed"):  # the call says both
        return
    reading.assumptions.append(f"weights: {weights}, {source}")
    mixed = autocast_of(reading)
    reading.options["precision"] = weights
    if mixed is not None:
        reading.options["autocast"] = mixed
    # Adapters are in fp32 unless told otherwise; GradScaler takes gradients in nothing else (torch/amp/grad_scaler.py).
    trains_half = weights != "fp32" and (not asked.options.get("lora-rank") or asked.options.get("lora-dtype") == "model")
    if mixed == "fp16" and trains_half:
        problem = f"scales gradients, which are in {weights} as the weights are, and PyTorch refuses to unscale them"
        raise InputError("fp16", problem, "load the weights in float32")


def autocast_of(reading: Reading) -> str | None:
    bf16, fp16 = reading.get("bf16", False), reading.get("fp16", False)
    if bf16 and fp16:
        raise InputError("fp16", "is true beside bf16", "drop one")
    if bf16 or fp16:
        return "bf16" if bf16 else "fp16"
    set_by_accelerate = text_of(reading.get("mixed_precision", "no"))  # ACCELERATE_MIXED_PRECISION
    return set_by_accelerate if set_by_accelerate in ("bf16", "fp16") else None


def weights_precision(asked: Subject) -> tuple[str, str]:
    live = asked.options.get("precision")
    if isinstance(live, str):
        return live, "as the model or the call says"
    config = asked.model if isinstance(asked.model, Mapping) else {}
    dtype = config.get("dtype") or config.get("torch_dtype")
    if dtype is None:
        return "fp32", "for nothing says otherwise"
    precision = precision_of(dtype)
    if precision is None:
        raise InputError("dtype", f"{dtype} is not modelled", "known: float32, bfloat16, float16")
    return precision, "as the config's dtype says"


def read_liger(reading: Reading) -> None:
    if not reading.knows("kernels"):
        reading.doubt("use_liger_kernel", "its kernels allocate otherwise")
    elif reading.get("liger_kernel_config"):
        reading.doubt("liger_kernel_config", "some kernels but not all")
    else:
        reading.options["kernels"] = "liger"


def read_evaluation(reading: Reading) -> None:
    if text_of(reading.get("eval_strategy", "no")) == "no":
        return
    if reading.knows("eval-batch"):
        reading.options["eval-batch"] = reading.get("per_device_eval_batch_size", 8)
    else:
        reading.doubt("eval_strategy", "evaluation is not traced")


def read_cache(reading: Reading) -> None:
    """Trainer writes it into the model's config (trainer.py)."""
    if reading.knows("use-cache"):
        reading.options["use-cache"] = "yes" if reading.get("use_cache", False) else "no"
    elif reading.get("use_cache", False):
        reading.doubt("use_cache", "keys and values are kept")


def read_fsdp(reading: Reading, asked: Subject) -> None:
    """FSDP2 over the ranks that the call or a launched run says (training_args.py, _process_fsdp_args)."""
    sharded = any(asked.options.get(name) is not None for name in ("fsdp", "hsdp"))
    how = reading.get("fsdp")
    if not how:
        return
    ranks = reading.get("world_size", 1)
    if ranks > 1 and not sharded:
        reading.options["fsdp"] = ranks
    elif not sharded:
        raise InputError("fsdp", "says not over how many ranks", "pass fsdp=8, or hsdp='2x4'")
    words = how.split() if isinstance(how, str) else [text_of(word) for word in how] if isinstance(how, list) else []
    config = {name.removeprefix("fsdp_"): value for name, value in dict(reading.get("fsdp_config", {})).items()}
    for word in words:
        if word not in SHARDS:
            raise InputError("fsdp", f"{word} is not modelled", "full_shard and shard_grad_op are, as FSDP2 has them")
        config.update(SHARDS[word])
    if str(config.get("version", 2)) != "2":
        raise InputError("fsdp_config", "version 1 is not modelled", "FSDP2 is: version 2")
    if config.get("reshard_after_forward") is False:
        reading.options["no-reshard-after-forward"] = True
    odd = [name for name, value in config.items() if not harmless_to_fsdp(name, value)]
    if odd:
        reading.not_understood.append(f"fsdp_config: {', '.join(odd)} may shard otherwise")


#: The words of `fsdp` as fields of its config.
SHARDS: dict[str, dict[str, object]] = {
    "full_shard": {"reshard_after_forward": True},
    "shard_grad_op": {"reshard_after_forward": False},
    "auto_wrap": {},
}


def harmless_to_fsdp(name: str, value: Any) -> bool:
    if name == "auto_wrap_policy":
        return str(value) == "TRANSFORMER_BASED_WRAP"
    names = """version reshard_after_forward state_dict_type cpu_ram_efficient_loading transformer_layer_cls_to_wrap
    sync_module_states use_orig_params"""
    return name in names.split() or value in (None, False, 0, "", "false")


def read_others(reading: Reading, asked: Subject) -> None:
    read_fsdp(reading, asked)
    read_evaluation(reading)
    read_cache(reading)
    if reading.get("use_liger_kernel", False):
        read_liger(reading)
    for name, value in reading.fields.items():
        if name in USED or name in HARMLESS:
            continue
        if name in REFUSED:
            harmless, problem, hint = REFUSED[name]
            if value not in harmless:
                raise InputError(name, problem, hint)
        elif name in AT:
            if value not in AT[name][0]:
                reading.doubt(name, AT[name][1])
        elif value not in (None, False, "", [], {}):
            reading.doubt(name, "is not known")
