"""What a caller may call a model, duck-typed: neither torch nor transformers is imported."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ._adapters import base_of, read_adapters
from ._build import build
from ._api import ask
from ._errors import InputError
from ._live import check_live
from ._rows import ParameterRow
from ._state import read_state
from ._traced import check_parameters


@dataclass
class ReadModel:
    """A model as a request names it, the options a live one settles, and what was taken for granted of it."""

    model: str | dict[str, Any]
    name: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    assumptions: list[str] = field(default_factory=list)

    @property
    def config(self) -> dict[str, Any]:
        """The model, where it is a config."""
        return self.model if isinstance(self.model, dict) else {}


#: transformers' names of implementations where the options have others.
ATTENTIONS = {"flash_attention_2": "flash2"}
EXPERTS = {"grouped_mm": "grouped", "eager": "loop"}


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
    hint = "pass the model inside, its .module" if hasattr(model, "module") else "pass a name, a path, a config or a model"
    raise InputError("model", f"is a {type(model).__name__}", hint)


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
    experts = getattr(config, "_experts_implementation", None)  # dense models' configs have it too
    if experts is not None and any(held.get(name) for name in ("num_experts", "num_local_experts")):
        read.options["experts"] = EXPERTS.get(str(experts), str(experts))
    return read


def read_live(model: Any) -> ReadModel:
    """A model that was built: as its class and its config say, with what was done to it since."""
    check_live(model)
    base = base_of(model)
    read = read_config(base.config)
    held = read.config
    held["architectures"] = [type(base).__name__]  # the config's may be that of the checkpoint it was loaded from
    options, read.assumptions = read_state(model)
    read.options.update(options)
    if hasattr(model, "peft_config"):
        held.pop("quantization_config", None)  # the layers say it
        read.options.update(read_adapters(model))
    check_parameters(base, traced_parameters(read))
    return read


def traced_parameters(read: ReadModel) -> list[ParameterRow]:
    """Those of the trace, without adapters and as they are before they are packed."""
    options = {name: value for name, value in read.options.items() if name in ("precision", "transformers")}
    options["batch"] = "1"  # changes none of them, and no model refuses it
    if "experts" in read.options:
        options["experts"] = "loop"  # which takes every dtype, and changes no parameter
    model = {name: value for name, value in read.config.items() if name != "quantization_config"}
    rows = json.loads(ask("parameters", {"model": model, "name": read.name, "options": options}))["parameters"]
    return [build(ParameterRow, row) for row in rows]
