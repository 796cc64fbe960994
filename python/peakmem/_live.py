"""What a live model is: as its class makes it from its config, and as it is traced; all else is refused by name.

Duck-typed as `_model` is. torch is there with a live model; it is asked to make the model once more on the meta device,
where nothing is allocated, and the two are held side by side.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from ._adapters import PACKED, base_of
from ._errors import InputError

T = TypeVar("T")

#: Whose modules are modelled; bitsandbytes' and PEFT's as `_adapters` reads them.
MAKERS = ("torch.nn.", "transformers.", "bitsandbytes.", "peft.")

#: Where the hooks of a module are, by what they see.
HOOKS = {
    "_forward_pre_hooks": "a forward pre-hook",
    "_forward_hooks": "a forward hook",
    "_backward_pre_hooks": "a backward pre-hook",
    "_backward_hooks": "a backward hook",
}

#: Hooks that are modelled: transformers' enable_input_require_grads, and what records outputs where they are asked for.
HARMLESS_HOOKS = ("make_inputs_require_grads", "output_capturing_hook")

#: The same of a parameter.
GRADIENT_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")

HOOKED = "what hooks keep or change is not modelled; remove it"
COMPILED = "compiled code allocates otherwise and is not modelled"
#: What to do where a module is not the one that is traced.
AS_BUILT = "such a module is not modelled; pass the model as its class builds it, or its config"

#: What a module says of itself that training changes or that changes no byte.
CHANGING = frozenset(
    ("training", "gradient_checkpointing", "name_or_path", "layer_idx", "vocab_size", "padding_idx", "device", "dtype")
)


def check_live(model: Any) -> None:
    """Refuses a model that runs other than its class and its config say."""
    if hasattr(model, "_orig_mod"):
        raise InputError("model", "is compiled by torch.compile", COMPILED)
    modules = dict(base_of(model).named_modules()) if hasattr(base_of(model), "named_modules") else {}
    for path, module in modules.items():
        check_module(path or "the model", module)
    check_built(base_of(model), modules)


def check_module(path: str, module: Any) -> None:
    """Its code is that of a library that is modelled, and nothing was put around it."""
    made_by = type(module)
    if not f"{made_by.__module__}.".startswith(MAKERS):
        raise InputError("model", f"has {made_by.__module__}.{made_by.__qualname__} at {path}", AS_BUILT)
    if getattr(module, "_compiled_call_impl", None) is not None:
        raise InputError("model", f"is compiled by torch.compile at {path}", COMPILED)
    forward = vars(module).get("forward")
    if forward is not None:
        raise InputError("model", f"has another forward at {path}, of {origin_of(forward)}", AS_BUILT)
    forward = getattr(made_by, "forward", None)
    if forward is not None and origin_of(forward) not in {each.__module__ for each in made_by.__mro__}:
        raise InputError("model", f"has another {made_by.__name__}.forward, of {origin_of(forward)}", AS_BUILT)
    check_hooks(path, module)


def check_hooks(path: str, module: Any) -> None:
    for attribute, what in HOOKS.items():
        for hook in (getattr(module, attribute, None) or {}).values():
            name = getattr(hook, "__qualname__", type(hook).__name__).rsplit(".", 1)[-1]
            if name not in HARMLESS_HOOKS:
                raise InputError("model", f"has {what} at {path}: {name}", HOOKED)
    for name, parameter in (getattr(module, "_parameters", None) or {}).items():
        if any(getattr(parameter, attribute, None) for attribute in GRADIENT_HOOKS):
            raise InputError("model", f"has a hook on the gradient of {path}.{name}", HOOKED)


def origin_of(function: Any) -> str:
    return str(getattr(function, "__module__", None) or type(function).__module__)


def check_built(base: Any, modules: Mapping[str, Any]) -> None:
    """Every module is there that its class makes from its config, of the same kind and with the same settings."""
    again = built_again(base)
    if again is None:
        return
    kind = type(base).__name__
    ours = dict(beneath(modules, modules))
    theirs = dict(again.named_modules())
    for path, module in ours.items():
        if path not in theirs:
            problem = f"has a {type(module).__name__} at {path}, where {kind} makes none of its config"
            raise InputError("model", problem, AS_BUILT)
    for path in theirs:
        if path not in ours:
            problem = f"has no {path}, which {kind} makes of its config"
            raise InputError("model", problem, AS_BUILT)
    for path, made in theirs.items():
        held = ours[path]
        if (found := kind_of(held)) != (expected := kind_of(made)):
            problem = f"has a {found} at {path}, where {kind} makes a {expected} of its config"
            raise InputError("model", problem, AS_BUILT)
        for name, value in settings_of(made).items():
            if (here := settings_of(held).get(name, value)) != value:
                problem = f"has {name}={here!r} at {path or 'its root'}, where its config makes it {value!r}"
                raise InputError("model", problem, "change the config, then build the model of it")


def built_again(base: Any) -> Any | None:
    """The model as its class makes it from its config, on the meta device; None without torch."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(base, torch.nn.Module):
        return None
    config = copy.deepcopy(base.config)
    config.quantization_config = None  # bitsandbytes puts its layers in afterwards
    try:
        with torch.device("meta"):
            return type(base)(config)
    except Exception as error:
        problem = f"cannot be built again from its config to be held to it: {error}"
        raise InputError("model", problem, "pass its config") from None


def kind_of(module: Any) -> str:
    """Its class; bitsandbytes' layers stand for the plain ones."""
    name = type(module).__name__
    return "Linear" if name in PACKED else name


def settings_of(module: Any) -> dict[str, Any]:
    """The numbers, flags and texts it was made with, such as a dropout's p, and the names of its buffers."""
    held = {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and name not in CHANGING and isinstance(value, (bool, int, float, str))
    }
    return {**held, "buffers": sorted(getattr(module, "_buffers", None) or ())}


def beneath(named: Mapping[str, T], modules: Mapping[str, Any]) -> Iterator[tuple[str, T]]:
    """What has a path in a model, by the path it has without PEFT's wrappers; what they added is left out."""
    wrappers = {path for path, each in modules.items() if type(each).__module__.split(".")[0] == "peft"}
    for path, each in named.items():
        plain = without_wrappers(path, wrappers)
        if plain is not None:
            yield plain, each


def without_wrappers(path: str, wrappers: Iterable[str]) -> str | None:
    """The path without what stands for the wrapped module; None for what a wrapper is or adds."""
    if path in wrappers:
        return None
    parts = path.split(".")
    kept = []
    for i, part in enumerate(parts):
        if ".".join(parts[:i]) not in wrappers:
            kept.append(part)
        elif part not in ("base_layer", "original_module"):
            return None
    return ".".join(kept)
