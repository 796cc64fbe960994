"""`transformers.TrainingArguments` (5.23) as options: every field is used, harmless, or said not to be understood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ._answers import Report, ask_report, optimizer_rows, option_rows
from ._ask import Model, Option, Subject, option_name, subject
from ._dtypes import precision_of
from ._errors import InputError
from ._keys import of_kind
from ._training_fields import read_fields

#: `optim` as the core names it: the optimizer and its implementation, "" for what PyTorch picks.
OPTIMIZERS = {
    name: (row.name, implementation)
    for row in optimizer_rows()
    for name, _, implementation in (word.partition(" ") for word in row.optim.split(", ") if word)
}

#: Optimizers whose step allocates more where weights decay; the core knows them without.
DECAY_IN_GRADIENT = ("sgd", "adagrad", "rmsprop")

USED = frozenset(
    """per_device_train_batch_size gradient_accumulation_steps max_grad_norm optim bf16 fp16 weight_decay
    activation_checkpointing activation_checkpointing_kwargs gradient_checkpointing gradient_checkpointing_kwargs
    eval_strategy per_device_eval_batch_size use_cache use_liger_kernel liger_kernel_config accelerator_config
    mixed_precision world_size fsdp ddp_bucket_cap_mb ddp_find_unused_parameters fsdp_config deepspeed""".split()
)

#: Fields that change no byte of a training step on the device, those that change none at some values, and those of which
#: other values than some make another job. What this module uses itself is in none of them.
HARMLESS = frozenset(of_kind("harmless")) - USED
AT = {name: key for name, key in of_kind("doubt").items() if name not in USED}
REFUSED = {name: key for name, key in of_kind("refused").items() if name not in USED}

#: What to do about a field that is refused.
HINTS = {
    "use_cpu": "Peakmem predicts the memory of GPUs",
    "parallelism_config": "pass fsdp=8 for FSDP2 over 8 ranks",
    **dict.fromkeys(
        ("torch_compile", "torch_compile_backend", "torch_compile_mode"),
        "leave torch_compile, torch_compile_backend and torch_compile_mode out",
    ),
}

#: What is as good as not said.
NOTHING: tuple[object, ...] = (None, False, "", [], {}, ())


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
    if ranks > 1 and reading.get("deepspeed") not in NOTHING:
        reading.options["ranks"] = ranks
    elif ranks > 1 and not reading.get("fsdp"):
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
    """FSDP over the ranks that the call or a launched run says (training_args.py, _process_fsdp_args)."""
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
    if str(config.get("version", 2)) == "1":
        read_flat(reading, config)
    elif isinstance(config.get("reshard_after_forward"), str):
        raise InputError("fsdp_config", "reshard_after_forward is a strategy of FSDP1", "pass true or false, or version 1")
    elif config.get("reshard_after_forward") is False:
        reading.options["no-reshard-after-forward"] = True
    odd = [name for name, value in config.items() if not harmless_to_fsdp(name, value)]
    if odd:
        reading.not_understood.append(f"fsdp_config: {', '.join(odd)} may shard otherwise")


def read_flat(reading: Reading, config: dict[str, Any]) -> None:
    """FSDP1, of which reshard_after_forward says nothing (training_args.py and accelerate 1.15's plugin)."""
    ahead = str(config.pop("backward_prefetch", "no_prefetch")).lower()
    reading.options["fsdp-version"] = 1
    reading.options["fsdp-prefetch"] = {"backward_pre": "pre", "backward_post": "post"}.get(ahead, "none")
    reading.options["use-orig-params"] = "no" if str(config.get("use_orig_params", True)).lower() == "false" else "yes"
    if str(config.get("forward_prefetch", False)).lower() == "true":
        raise InputError("fsdp_config", "forward_prefetch is not modelled", "pass forward_prefetch=False")


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
    if reading.get("deepspeed") not in NOTHING and asked.options.get("zero") is None:
        raise InputError("deepspeed", "is not read here", "pass zero=2, ranks=8 and what its JSON says, or that file to from_file")
    read_fsdp(reading, asked)
    read_evaluation(reading)
    read_cache(reading)
    if reading.get("use_liger_kernel", False):
        read_liger(reading)
    for name, value in reading.fields.items():
        if name in USED or name in HARMLESS:
            continue
        if name in REFUSED:
            if value not in (None, False, *REFUSED[name].at):
                raise InputError(name, REFUSED[name].note, HINTS.get(name, ""))
        elif value in NOTHING:
            continue
        elif name in AT:
            if value not in AT[name].at:
                reading.doubt(name, AT[name].note)
        else:
            reading.doubt(name, "is not known")
