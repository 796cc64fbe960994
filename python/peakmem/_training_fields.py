"""The fields of TrainingArguments, or of a dict of them as a YAML file or a command line has it: texts, old names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ._errors import InputError

#: Fields that are read as whole numbers, as numbers, as yes or no, and as keywords.
SIZES = frozenset(
    """per_device_train_batch_size per_device_eval_batch_size gradient_accumulation_steps world_size
    ddp_bucket_cap_mb torch_empty_cache_steps""".split()
)
NUMBERS = frozenset("max_grad_norm weight_decay neftune_noise_alpha label_smoothing_factor".split())
FLAGS = frozenset(
    """bf16 fp16 activation_checkpointing gradient_checkpointing torch_compile use_liger_kernel use_cache use_cpu
    auto_find_batch_size full_determinism eval_on_start ddp_find_unused_parameters ddp_static_graph use_reentrant
    cpu_offload reshard_after_forward preserve_rng_state""".split()
)
KEYWORDS = frozenset(
    """activation_checkpointing_kwargs gradient_checkpointing_kwargs fsdp_config accelerator_config
    liger_kernel_config""".split()
)

#: Names that transformers 4 had.
RENAMED = {
    "evaluation_strategy": "eval_strategy",
    "no_cuda": "use_cpu",
    "per_gpu_train_batch_size": "per_device_train_batch_size",
    "per_gpu_eval_batch_size": "per_device_eval_batch_size",
}

#: What FSDP1 takes for reshard_after_forward, where FSDP2 takes a flag.
STRATEGIES = ("full_shard", "shard_grad_op", "no_shard", "hybrid_shard", "hybrid_shard_zero2")

TRUE = ("y", "yes", "t", "true", "on", "1")  # transformers' str_to_bool
FALSE = ("n", "no", "f", "false", "off", "0")


def read_fields(args: Mapping[str, Any] | object) -> dict[str, Any]:
    """The fields by name; names with an underscore before them are the object's own affair.

    What a dict does not say is at its default, so that any dict will do; an object must be TrainingArguments.
    """
    if isinstance(args, Mapping):
        return {str(name): value for name, value in read_texts(args).items() if not str(name).startswith("_")}
    held = getattr(args, "__dict__", {})
    if "per_device_train_batch_size" not in held:
        raise InputError("args", f"is a {type(args).__name__}", "pass transformers.TrainingArguments, or its fields")
    return {name: value for name, value in held.items() if not name.startswith("_")}


def read_texts(args: Mapping[str, Any]) -> dict[str, Any]:
    """Values as the class would hold them, by today's names."""
    fields: dict[str, Any] = {}
    for name, value in args.items():
        new = RENAMED.get(name, name)
        if new != name and args.get(new) is not None:
            raise InputError(name, f"is said beside {new}, its new name", "drop it")
        fields[new] = read_value(new, value)
    return fields


def read_value(name: str, value: Any) -> Any:
    text = value.strip() if isinstance(value, str) else None
    if text is not None and text.lower() in ("none", "null", "") and name in SIZES | NUMBERS | FLAGS | KEYWORDS:
        return None
    if name in SIZES:
        return whole_number(name, value)
    if name in NUMBERS:
        return number(name, value)
    if text is not None and name == "reshard_after_forward" and text.lower() in STRATEGIES:
        return text.lower()
    if text is not None and (name in FLAGS or (name == "fsdp" and text.lower() in TRUE + FALSE)):
        return flag(name, text)
    if name in KEYWORDS:
        return keywords(name, value)
    return value


def number(name: str, value: Any) -> float | None:
    if value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InputError(name, f"{value!r} is no number", "such as 1.0") from None


def whole_number(name: str, value: Any) -> int | None:
    read = number(name, value)
    if read is None:
        return None
    if isinstance(value, bool) or not read.is_integer():
        raise InputError(name, f"{value!r} is no whole number", "such as 8")
    return int(read)


def flag(name: str, text: str) -> bool:
    if text.lower() not in TRUE + FALSE:
        raise InputError(name, f"{text!r} is neither true nor false")
    return text.lower() in TRUE


def keywords(name: str, value: Any) -> Any:
    """A dict of keywords, or the text of one."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise InputError(name, f"{value!r} is a file", "pass what it holds, as a dict") from None
    if not isinstance(value, Mapping):
        return value
    return {str(key): read_value(str(key), each) for key, each in value.items()}
