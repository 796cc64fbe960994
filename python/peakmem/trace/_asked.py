"""What a batch is asked for: a model's class and config, sequences and tokens; and numbers of configs by their many names."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ._values import KEPT


@dataclass(frozen=True)
class Asked:
    """A model's class and config, and how many sequences (or images) of how many tokens it is to be given."""

    kind: Any
    config: Any
    batch: int
    seq: int

    @property
    def takes(self) -> frozenset[str]:
        """The parameters of its forward pass."""
        return frozenset(inspect.signature(self.kind.forward).parameters)

    @property
    def text(self) -> Any:
        """The config of its text's side."""
        return self.config.get_text_config() if hasattr(self.config, "get_text_config") else self.config

    def side(self, *names: str) -> Any:
        """The config inside it of one of these names; else itself."""
        return next((each for name in names if (each := getattr(self.config, name, None)) is not None), self.config)

    def of(self, *endings: str) -> bool:
        """Whether the name of its class ends so."""
        return str(self.kind.__name__).endswith(endings)

    def full(self, *shape: int, value: int = 0) -> Any:
        """Whole numbers, one for each of a batch."""
        return torch.full((self.batch, *shape), value, dtype=torch.long)

    def floats(self, *shape: int) -> Any:
        """Numbers, one for each of a batch: none is padding. Many have no values."""
        if self.batch * math.prod(shape) <= KEPT:
            return torch.ones(self.batch, *shape)
        return torch.empty(self.batch, *shape, device="meta")


def number(config: Any, *names: str, default: int) -> int:
    """The first number that a config has by one of these names; of several the first."""
    for name in names:
        value = getattr(config, name, None)
        if isinstance(value, Mapping):
            value = value.get("height") or next(iter(value.values()), None)
        if isinstance(value, (list, tuple)) and value:
            value = value[0]
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
            return int(value)
    return default
