"""What a caller may call a model, duck-typed: neither torch nor transformers is imported."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ._adapters import base_of, read_adapters
from ._dtypes import precision_of
from ._errors import InputError


@dataclass
class ReadModel:
    """A model as a request names it, and the options a live one settles."""

    model: str | Mapping[str, Any]
    name: str | None = None
    options: dict[str, str] = field(default_factory=dict)


#: transformers' names of attention implementations where the options have others.
ATTENTIONS = {"flash_attention_2": "flash2"}


def plain(value: Any) -> Any:
    """A config's value as JSON holds it: keys are texts, tuples lists, dtypes and other objects their names."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return str(value).removeprefix("torch.")


def read_model(model: object | None) -> ReadModel | None:
    """The model of a call; None where options describe it. Raises InputError for what is none."""
    if model is None:
        return None
    if isinstance(model, (str, os.PathLike)):
        return read_path(os.fspath(model))
    if isinstance(model, Mapping):
        return ReadModel(plain(model), str(model.get("_name_or_path") or "config"))
    if hasattr(model, "config"):
        return read_live(model)
    if callable(getattr(model, "to_dict", None)):
        return read_config(model)
    raise InputError("model", f"is a {type(model).__name__}", "pass a name, a path, a config or a model")


def read_path(path: str | bytes) -> ReadModel:
    if isinstance(path, bytes) or path == "-":
        raise InputError("model", f"{path!r} is no name and no path", "pass a name, a path or a config")
    return ReadModel(path)


def read_config(config: Any) -> ReadModel:
    """A transformers config, with the attention it was told to run."""
    held = plain(config.to_dict())
    read = ReadModel(held, str(held.get("_name_or_path") or held.get("model_type") or "config"))
    attention = getattr(config, "_attn_implementation", None)
    if attention is not None:
        read.options["attention"] = ATTENTIONS.get(str(attention), str(attention))
    return read


def read_live(model: Any) -> ReadModel:
    """A model that was built: its weights have a dtype, some may be frozen, and some have adapters beside them."""
    read = read_config(model.config)
    held = dict(read.model) if isinstance(read.model, Mapping) else {}
    held["architectures"] = held.get("architectures") or [type(base_of(model)).__name__]
    read.model = held
    if hasattr(model, "peft_config"):
        held.pop("quantization_config", None)  # the layers say it
        read.options.update(read_adapters(model))
        return read
    named = model.named_parameters() if callable(getattr(model, "named_parameters", None)) else ()
    frozen = [name for name, parameter in named if not parameter.requires_grad]
    if frozen:
        read.options["freeze"] = ",".join(frozen)
    precision = precision_of(getattr(model, "dtype", "float32"))
    if precision is None:
        raise InputError("model", f"has weights in {model.dtype}", "known: float32, bfloat16, float16")
    read.options["precision"] = precision
    return read
