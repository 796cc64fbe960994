"""The training loop around a model, as most people write it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_map

from .._errors import InputError
from ._values import give_twin, small_values, twin_of

#: Precisions: what the weights are converted to, and what autocast runs in.
PRECISIONS: dict[str, tuple[torch.dtype | None, torch.dtype | None]] = {
    "fp32": (torch.float32, None),
    "bf16": (torch.bfloat16, None),
    "fp16": (torch.float16, None),
    "bf16-mixed": (None, torch.bfloat16),
    "fp16-mixed": (None, torch.float16),
}

#: Optimizers by the names of the command line: the class in torch.optim, and its options.
OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "adamw": ("AdamW", {}),
    "adam": ("Adam", {}),
    "sgd": ("SGD", {}),
    "sgd-momentum": ("SGD", {"momentum": 0.9}),
    "adagrad": ("Adagrad", {}),
    "rmsprop": ("RMSprop", {}),
    "adafactor": ("Adafactor", {}),
    "nadam": ("NAdam", {}),
    "radam": ("RAdam", {}),
    "adamax": ("Adamax", {}),
    "adadelta": ("Adadelta", {}),
    "asgd": ("ASGD", {}),
}

IMPLEMENTATIONS: dict[str | None, dict[str, bool]] = {
    None: {},
    "loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
}


def chosen(table: Mapping[Any, Any], name: Any, option: str) -> Any:
    if name not in table:
        known = ", ".join(str(each) for each in table if each is not None)
        raise InputError(option, f"{name!r} is not known", f"one of {known}")
    return table[name]


def make_optimizer(optimizer: Any, implementation: str | None, parameters: list[Any]) -> Any:
    """By name, by a class, or by a function of the parameters that are trained."""
    if isinstance(optimizer, str):
        name, _, way = optimizer.partition("/")
        kind, options = chosen(OPTIMIZERS, name, "optimizer")
        ways = chosen(IMPLEMENTATIONS, way or implementation, "optimizer_impl")
        return getattr(torch.optim, kind)(parameters, lr=1e-3, **options, **ways)
    if callable(optimizer):
        return optimizer(parameters)
    raise InputError("optimizer", f"is a {type(optimizer).__name__}", "pass a name, or a function of the parameters")


def loss_of(outputs: Any) -> Any:
    """The loss among a model's outputs: `.loss`, `["loss"]`, or the one tensor of a single number that wants a gradient."""
    loss = getattr(outputs, "loss", None)
    if loss is None and isinstance(outputs, Mapping):
        loss = outputs.get("loss")
    if loss is None:
        several = outputs if isinstance(outputs, (tuple, list)) else [outputs]
        losses = [each for each in several if isinstance(each, torch.Tensor) and each.dim() == 0]
        loss = losses[0] if len(losses) == 1 else None
    if not isinstance(loss, torch.Tensor):
        problem = f"a {type(outputs).__name__} has no loss that can be told"
        raise InputError("loss", problem, "pass loss=, a function of the outputs and the batch")
    return loss


class Loop:
    """A model, its optimizer and a step; `batch`, `outputs` and `loss` live until they are bound again."""

    def __init__(
        self,
        model: Any,
        batch: Callable[[], Any],
        optimizer: Any,
        autocast: torch.dtype | None,
        accumulate: int,
        clip: float | None,
        loss: Callable[..., Any] | None,
    ) -> None:
        self.model, self.optimizer = model, optimizer
        self.autocast, self.accumulate, self.clip = autocast, accumulate, clip
        self._make_batch = batch
        self._loss_of = loss
        self.batch: Any = None
        self.outputs: Any = None
        self.loss: Any = None

    def step(self) -> None:
        for _ in range(self.accumulate):
            self.forward()
            self.loss.backward()
        if self.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def forward(self) -> None:
        """The batch, the model and the loss."""
        self.batch = self._make_batch()
        with self._autocast():
            self.outputs = self._call()
            loss = self._loss_of(self.outputs, self.batch) if self._loss_of else loss_of(self.outputs)
            if self.accumulate > 1:
                loss = loss / self.accumulate
            self.loss = loss
            del loss

    def _autocast(self) -> Any:
        return torch.autocast("cuda", dtype=self.autocast) if self.autocast else contextlib.nullcontext()

    def _call(self) -> Any:
        if isinstance(self.batch, Mapping):
            return self.model(**self.batch)
        if isinstance(self.batch, (tuple, list)):
            return self.model(*self.batch)
        return self.model(self.batch)


class Blueprint:
    """What a tensor of the batch is, without it: real or fake, it is made anew in every step, as a loop moves it to the
    device. Small values are kept."""

    def __init__(self, tensor: Any) -> None:
        self.dtype, self.wants_gradient = tensor.dtype, tensor.requires_grad
        self.twin = twin_of(tensor) if isinstance(tensor, FakeTensor) else small_values(tensor)
        self.shape = tuple(tensor.shape)
        dense = torch.empty(self.shape, device="meta").stride()
        self.stride = tuple(tensor.stride()) if tensor.is_contiguous() or tensor.dim() == 4 else dense

    def make(self) -> Any:
        fake = torch.empty_strided(self.shape, self.stride, dtype=self.dtype, device="cuda")
        if self.twin is not None:
            with _disable_current_modes():
                give_twin(fake, self.twin.clone(memory_format=torch.preserve_format))
        return fake.requires_grad_(self.wants_gradient)


def batches_of(batch: Any) -> Callable[[], Any]:
    """What makes a batch in every step: what the user gave, if it is a function."""
    if callable(batch) and not isinstance(batch, torch.Tensor):
        return batch  # type: ignore[no-any-return]
    batch = dict(batch) if isinstance(batch, Mapping) else batch
    with _disable_current_modes():
        kept = tree_map(lambda each: Blueprint(each) if isinstance(each, torch.Tensor) else each, batch)
    return lambda: tree_map(lambda each: each.make() if isinstance(each, Blueprint) else each, kept)
