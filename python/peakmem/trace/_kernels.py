"""What kernels and autograd's engine do with real CUDA tensors where fake ones differ (torch 2.13)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

aten = torch.ops.aten

#: The backward formulas of indexing, gather, topk and sort write in place on ordinary tensors and out of place on tensor
#: subclasses, fake ones too (FunctionsManual.cpp).
IN_PLACE = {
    aten.index_put.default: aten.index_put_.default,
    aten.scatter_add.default: aten.scatter_add_.default,
    aten.scatter.src: aten.scatter_.src,
}

#: Ops of one version or another that a CPU build takes apart where CUDA has a kernel; they are looked up, never run.
CUDA_KERNELS = ("silu_backward", "mish_backward", "_fused_rms_norm")

#: Optimizers' kernels work in place and return nothing; not every version has their shape function.
_FUSED = ("_fused_sgd_", "_fused_adagrad_", "_fused_adam_", "_fused_adamw_")
RETURN_NOTHING = {getattr(aten, name).default for name in _FUSED if hasattr(aten, name)}


def _grouped_mm(run: Callable[..., Any], left: Any, right: Any, *args: Any, **kwargs: Any) -> Any:
    """The shape function wants bf16, the kernel takes fp32 and fp16 as well: asked with bf16, made in the real dtype."""
    kwargs.pop("out_dtype", None)
    meta = [each.new_empty_strided(each.shape, each.stride(), dtype=torch.bfloat16) for each in (left, right)]
    out = run(*meta, *args, **kwargs)
    return out.new_empty_strided(out.shape, out.stride(), dtype=left.dtype)


#: Ops whose shape function is narrower than their kernel: how their result is made, without counting what that takes.
STRICT = {aten._grouped_mm.default: _grouped_mm} if hasattr(aten, "_grouped_mm") else {}


def needs_help(func: Any, args: Any) -> bool:
    """Whether the shape function would refuse what the kernel takes."""
    return func in STRICT and args[0].dtype != torch.bfloat16


def from_engine(frame: Any) -> bool:
    """Whether autograd's engine asked for an op, not Python code: by the frame that did."""
    return frame is None or frame.f_code.co_name == "_engine_run_backward"


def _sums_in_place(first: Any, second: Any, *_: Any) -> bool:
    """Whether the engine would add a tensor's second gradient into its first.

    It does when nobody else holds the first (input_buffer.cpp), but never for tensor subclasses, so the counts that it
    looks at are read here: what a dispatch itself holds makes 4 for the tensor and 2 for the storage.
    """
    return (
        isinstance(second, torch.Tensor)
        and first.is_contiguous()
        and first._use_count() <= 4
        and torch._C._storage_Use_Count(first.untyped_storage()._cdata) <= 2
    )


def in_backward(func: Any, args: Any, kwargs: Any) -> tuple[bool, Any]:
    """(True, its result) of an op of the engine that real tensors do in place."""
    if func in IN_PLACE:
        IN_PLACE[func](*args, **kwargs)
        return True, args[0]
    if func is aten.add.Tensor and _sums_in_place(*args):
        return True, args[0].add_(args[1])
    return False, None
