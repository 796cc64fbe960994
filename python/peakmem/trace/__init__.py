"""Tracing of any torch module: one training step of it on shapes, as PyTorch would run it on a GPU that is not needed.

It needs the torch that the user has and no other package; nothing of it is imported before a trace is asked for.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .._errors import InputError

if TYPE_CHECKING:
    from ._answer import Trace
    from ._trace import Tracing

__all__ = ["trace", "tracing"]


def trace(
    model: Any,
    batch: Any = None,
    *,
    at: Mapping[str, int] | None = None,
    optimizer: Any = "adamw",
    optimizer_impl: str | None = None,
    precision: str | None = None,
    gpu: str | None = None,
    accumulate: int = 1,
    clip_grad: float | None = None,
    checkpointing: bool = False,
    loss: Callable[[Any, Any], Any] | None = None,
    name: str | None = None,
    isolate: bool = False,
) -> Trace:
    """One training step of a model on shapes, in bytes: no GPU is needed and none is touched.

    Args:
        model: a live `torch.nn.Module`, whose tensors are swapped for fakes meanwhile; a function without arguments that
            makes one (on fakes, so that it takes no memory); or, without a batch, a closure that runs one training step of
            any loop and is called until two steps do the same; or, with `at`, a function of sizes that returns a model
            and its batch.
        batch: what the model is called with: a mapping, a tuple or a tensor, moved to the device in every step; or a
            function that makes it there. Small integers keep their values.
        at: the sizes by the function's keywords, `dict(B=8, T=1024, L=12)`: they become the letters of a formula.
        optimizer: `adamw`, `sgd-momentum` and so on, or a function of the parameters that are trained; with
            `optimizer_impl` `loop`, `foreach` or `fused`, else as torch chooses on a GPU.
        precision: `fp32`, `bf16`, `fp16` (weights too), `bf16-mixed` or `fp16-mixed` (autocast); None leaves a model's own.
        gpu: a name of `peakmem.gpus()`: whose kernels run, and what the answer is held to.
        accumulate: micro-batches a step; clip_grad: the norm that gradients are clipped to.
        checkpointing: the model's own `gradient_checkpointing_enable`.
        loss: of the model's outputs and the batch; else `outputs.loss`, or the outputs' only scalar.
        isolate: trace in a child process, so that nothing of it stays in this one.

    Raises:
        InputError: where it cannot be traced: what, and what to do.
    """
    options = {
        "optimizer": optimizer,
        "optimizer_impl": optimizer_impl,
        "precision": precision,
        "accumulate": accumulate,
        "clip_grad": clip_grad,
        "checkpointing": checkpointing,
        "loss": loss,
        "name": name,
    }
    _need_torch()
    if accumulate < 1:
        raise InputError("accumulate", f"{accumulate} is not positive", "micro-batches a step, from 1 on")

    def work() -> Trace:
        return _traced(model, batch, at, gpu, options)

    return _isolated(work, model, at, gpu, options) if isolate else work()


def _isolated(
    work: Callable[[], Trace], model: Any, at: Mapping[str, int] | None, gpu: str | None, options: dict[str, Any]
) -> Trace:
    """What `work` traces in a child process; what traces it again stays here."""
    from ._gpu import find_gpu
    from ._isolate import in_child
    from ._trace import direct_tracer

    found = in_child(work)
    return found if at is None else replace(found, direct=direct_tracer(model, find_gpu(gpu), options, isolate=True))


def _traced(model: Any, batch: Any, at: Mapping[str, int] | None, gpu: str | None, options: dict[str, Any]) -> Trace:
    from ._gpu import find_gpu
    from ._trace import is_step, trace_factory, trace_model, trace_step

    if at is not None:
        return trace_factory(model, dict(at), find_gpu(gpu), options)
    if batch is not None:
        return trace_model(model, batch, find_gpu(gpu), options)
    if not is_step(model):
        raise InputError("batch", "is missing", "pass what the model is called with, or a closure that runs a step")
    return trace_step(model, find_gpu(gpu), {"name": options["name"]})


def tracing(*, gpu: str | None = None, name: str | None = None) -> AbstractContextManager[Tracing]:
    """A block in which a user's own loop runs on fakes: at least two steps, each ended by an optimizer's step().

    Everything is made inside of the block; its tensors are fake, on CUDA where they are put there.
    """
    _need_torch()
    from ._gpu import find_gpu
    from ._trace import trace_block

    return trace_block(find_gpu(gpu), {"name": name})


def _need_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise InputError("trace", "torch is not installed", "pip install 'peakmem[trace]'")
