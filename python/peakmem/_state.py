"""What was done to a live model since it was built: its dtype, what is frozen, checkpointing, the mode it is in."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from ._adapters import PACKED, base_of
from ._dtypes import precision_of
from ._errors import InputError

#: Keywords of torch's checkpoint that change no byte on the device.
HARMLESS = frozenset(("preserve_rng_state", "determinism_check", "debug", "early_stop"))

#: Versions of transformers whose modelling code is modelled, as the option names them; the last is taken for others.
VERSIONS = ("4.45", "4.48", "5.23")


def read_state(model: Any) -> tuple[dict[str, str], list[str]]:
    """The options that a live model settles beside its config and its adapters, and what was taken for granted."""
    base = base_of(model)
    modules = dict(base.named_modules()) if callable(getattr(base, "named_modules", None)) else {}
    options, assumptions = version_of()
    if not hasattr(model, "peft_config"):  # else what trains and its dtypes are the adapters' affair
        for path, module in modules.items():
            if type(module).__name__ in PACKED:
                raise InputError("model", f"has a quantized layer, {path}, and no adapters", "add LoRA with PEFT")
        options.update(read_parameters(base))
    if checkpointing := checkpointing_of(modules):
        options["checkpointing"] = checkpointing
    waiting = sum(not getattr(module, "training", True) for module in modules.values())
    if waiting:
        assumptions.append(f"mode: training, as model.train() sets it; {waiting} of its modules are in eval mode now")
    return options, assumptions


def version_of() -> tuple[dict[str, str], list[str]]:
    """The transformers that is there with a live model."""
    version = str(getattr(sys.modules.get("transformers"), "__version__", VERSIONS[-1]))
    short = ".".join(version.split(".")[:2])
    if short in VERSIONS[:-1]:
        return {"transformers": short}, []
    if short == VERSIONS[-1]:
        return {}, []
    return {}, [f"transformers: modelled as {VERSIONS[-1]}, though {version} is installed"]


def read_parameters(base: Any) -> dict[str, str]:
    """The dtype of the weights, and the parameters that are frozen."""
    named = list(base.named_parameters()) if callable(getattr(base, "named_parameters", None)) else []
    options = {"precision": precision_of_weights(named, getattr(base, "dtype", "float32"))}
    frozen = [name for name, parameter in named if not parameter.requires_grad]
    if frozen and len(frozen) == len(named):
        raise InputError("model", "has no parameter that trains", "set requires_grad where it should")
    if frozen:
        options["freeze"] = ",".join(frozen)
    return options


def precision_of_weights(named: list[tuple[str, Any]], otherwise: object) -> str:
    """The dtype that most are in; that the others are as the trace has them, `_traced` sees to."""
    sizes: dict[str, int] = {}
    for _, parameter in named:
        sizes[str(parameter.dtype)] = sizes.get(str(parameter.dtype), 0) + size_of(parameter)
    most = max(sizes, key=lambda dtype: sizes[dtype]) if sizes else str(otherwise)
    precision = precision_of(most)
    if precision is None:
        raise InputError("model", f"has weights in {most}", "known: float32, bfloat16, float16")
    return precision


def size_of(parameter: Any) -> int:
    size = 1
    for each in parameter.shape:
        size *= int(each)
    return size


def checkpointing_of(modules: Mapping[str, Any]) -> str | None:
    """How layers are recomputed, as activation_checkpointing_enable left them; None where they are not."""
    able = {path: module for path, module in modules.items() if hasattr(module, "gradient_checkpointing")}
    layers = {path: module for path, module in able.items() if is_layer(module)} or able
    on = {path: module for path, module in layers.items() if module.gradient_checkpointing}
    if not on:
        return None
    for path in layers:
        if path not in on:
            raise InputError("model", f"checkpoints {next(iter(on))} but not {path}", "all layers, or none")
    how = next(iter(on.values()))._gradient_checkpointing_func
    keywords = dict(getattr(how, "keywords", {}))
    name = getattr(getattr(how, "func", how), "__qualname__", "?")
    if name != "checkpoint":
        raise InputError("model", f"checkpoints with {name}", "torch.utils.checkpoint.checkpoint is modelled")
    reentrant = keywords.pop("use_reentrant", None)
    for keyword, value in keywords.items():
        if keyword not in HARMLESS:
            raise InputError("model", f"checkpoints with {keyword}={value!r}", "is not modelled; only use_reentrant is")
    return "full" if reentrant is False else "full-reentrant"  # torch's own default is reentrant


def is_layer(module: Any) -> bool:
    return any(each.__name__ == "GradientCheckpointingLayer" for each in type(module).__mro__)
