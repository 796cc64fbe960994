"""What stands for torch's modules and transformers' models where neither is installed."""

from __future__ import annotations

from typing import Any

import peakmem


class Parameter:
    """Stands for a parameter."""

    def __init__(self, shape: tuple[int, ...], dtype: str = "torch.float32") -> None:
        self.shape = shape
        self.dtype = dtype
        self.requires_grad = True


class Module:
    """Stands for a module."""

    __module__ = "torch.nn.modules.module"

    def __init__(self) -> None:
        self._modules: dict[str, Any] = {}
        self._parameters: dict[str, Any] = {}
        self.training = True

    def named_modules(self, prefix: str = "") -> list[tuple[str, Any]]:
        found = [(prefix, self)]
        for name, each in self._modules.items():
            found += each.named_modules(f"{prefix}.{name}" if prefix else name)
        return found

    def named_parameters(self, remove_duplicate: bool = True) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        for path, module in self.named_modules():
            for name, each in module._parameters.items():
                if not remove_duplicate or all(each is not other for _, other in found):
                    found.append((f"{path}.{name}" if path else name, each))
        return found

    def at(self, path: str) -> Any:
        """The module of that path, made where there is none."""
        module = self
        for name in path.split("."):
            module = module._modules.setdefault(name, Module())
        return module


class Config:
    """Stands for a transformers config."""

    def __init__(self, config: dict[str, Any], attention: str | None = None) -> None:
        self.config_of = config
        self._attn_implementation = attention

    def to_dict(self) -> dict[str, Any]:
        return {**self.config_of, "id2label": {0: "LABEL_0", 1: "LABEL_1"}}


def live(config: dict[str, Any], kind: str, dtype: str = "torch.float32", attention: str | None = None) -> Any:
    """Stands for the model that the class of that name makes of a config: it has every parameter of the trace."""
    made = type(kind, (Module,), {"__module__": "transformers.models.some.modeling_some"})()
    made.config = Config(config, attention)
    made.dtype = dtype
    for row in peakmem.parameters({**config, "architectures": [kind]}, batch=1):
        path, _, name = row.name.rpartition(".")
        made.at(path)._parameters[name] = Parameter(row.shape, dtype)
    return made
