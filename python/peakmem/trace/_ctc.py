"""The CTC loss as CUDA computes it (aten/src/ATen/native/LossCTC.cpp, native/cuda/LossCTC.cu): to a fake tensor's op lengths
are tensors, to a real one's they are numbers, and neither pass has a shape function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import _disable_current_modes

from ._values import twin_of

aten = torch.ops.aten

#: Questions whether a library is taken: cuDNN for targets of 32 bits on the CPU alone, MIOpen on other GPUs.
USES_LIBRARY = frozenset(
    getattr(getattr(aten, op), overload)
    for op in ("_use_cudnn_ctc_loss", "_use_miopen_ctc_loss")
    if hasattr(aten, op)
    for overload in getattr(aten, op).overloads()
)


def _numbers(lengths: Any, longest: int, say: Callable[[str], None]) -> Any:
    """Lengths as a list; the longest where nobody knows them."""
    if not isinstance(lengths, FakeTensor):
        return lengths
    twin = twin_of(lengths)
    if twin is None:
        say("lengths of a CTC loss are not known: each is taken for the longest")
        return [longest] * max(lengths.numel(), 1)
    with _disable_current_modes():
        return [int(each) for each in twin.reshape(-1).tolist()]


def with_numbers(original: Callable[..., Any], say: Callable[[str], None]) -> Callable[..., Any]:
    """`torch.nn.functional.ctc_loss` of lengths that are numbers."""

    def ctc_loss(
        log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: int = 0,
        reduction: str = "mean", zero_infinity: bool = False,
    ) -> Any:  # fmt: skip
        if not isinstance(log_probs, FakeTensor):
            return original(log_probs, targets, input_lengths, target_lengths, blank, reduction, zero_infinity)
        sequences = log_probs.shape[1] if log_probs.dim() == 3 else 1
        most = targets.shape[-1] if targets.dim() > 1 else targets.numel() // sequences
        inputs, lengths = _numbers(input_lengths, log_probs.shape[0], say), _numbers(target_lengths, most, say)
        if reduction != "mean":
            return original(log_probs, targets, inputs, lengths, blank, reduction, zero_infinity)
        losses = original(log_probs, targets, inputs, lengths, blank, "none", zero_infinity)
        # Inside the op the lengths would be written to memory, which there is none of.
        return (losses / torch.tensor(lengths, dtype=losses.dtype, device=losses.device).clamp_min_(1)).mean()

    return ctc_loss


def _forward(see: Callable[[Any], None], log_probs: Any, targets: Any, inputs: Any, lengths: Any, *_: Any, **__: Any) -> Any:
    sequences = log_probs.shape[1]
    log_alpha = log_probs.new_empty(sequences, log_probs.shape[0], 2 * max(lengths, default=0) + 1)
    return log_probs.new_empty(sequences), log_alpha


def _backward(see: Callable[[Any], None], grad: Any, log_probs: Any, targets: Any, *rest: Any) -> Any:
    log_alpha = rest[3]
    see(torch.empty_like(log_alpha, memory_format=torch.contiguous_format))  # log_beta
    return torch.empty_like(log_probs, memory_format=torch.contiguous_format)


#: Ops whose shapes nobody says: how their result is made, and counted what the kernel makes for itself.
UNSHAPED: dict[Any, Callable[..., Any]] = {aten._ctc_loss.default: _forward, aten._ctc_loss_backward.default: _backward}
