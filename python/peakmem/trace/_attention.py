"""The kernel that `scaled_dot_product_attention` takes on a CUDA device, chosen as PyTorch's CUDA code chooses.

A CPU build has no choice for CUDA and takes the math path without a word; a CUDA build would ask the driver. The rules are
those of aten/src/ATen/native/transformers/cuda/sdp_utils.cpp and ../attention.cpp (torch 2.13), but for cuDNN's kernel,
which Hopper and Blackwell prefer and which is counted as flash attention.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

HALF = (torch.float16, torch.bfloat16)

Capability = tuple[int, int]

#: The choices a user makes with torch.nn.attention.sdpa_kernel.
ENABLED = {
    "flash": torch.backends.cuda.flash_sdp_enabled,
    "efficient": torch.backends.cuda.mem_efficient_sdp_enabled,
}


def choose(query: Any, key: Any, value: Any, mask: Any, dropout: float, gqa: bool, capability: Capability) -> str:
    """The kernel's name: flash, efficient or math."""
    if not query.shape[0] == key.shape[0] == value.shape[0]:
        return "math"  # which repeats the one of a single sequence
    rules = {"flash": _takes_flash, "efficient": _takes_efficient}
    for name, takes in rules.items():
        if ENABLED[name]() and query.dim() == 4 and takes(query, key, value, mask, dropout, gqa, capability):
            return name
    return "math"


def _takes_flash(q: Any, k: Any, v: Any, mask: Any, dropout: float, gqa: bool, capability: Capability) -> bool:
    """can_use_flash_attention."""
    size = q.shape[-1]
    if capability < (8, 0) or q.dtype not in HALF or mask is not None:
        return False
    if not size == k.shape[-1] == v.shape[-1] or size > 256:
        return False
    if capability in ((8, 6), (8, 9), (12, 0), (12, 1)) and _wants_gradient(q, k, v):
        if 192 < size <= 224 or size > 224 and dropout > 0:
            return False
    return gqa or bool(q.shape[1] == k.shape[1] == v.shape[1])


def _takes_efficient(q: Any, k: Any, v: Any, mask: Any, dropout: float, gqa: bool, capability: Capability) -> bool:
    """can_use_mem_efficient_attention."""
    kinds = (*HALF, torch.float32) if capability >= (8, 0) else (torch.float16, torch.float32)
    align = 8 if q.dtype in HALF else 4  # elements a tensor-core GEMM needs side by side
    if q.dtype not in kinds or q.shape[-1] != k.shape[-1]:
        return False
    return bool(q.shape[1] == k.shape[1] == v.shape[1]) and not (q.shape[-1] % align or v.shape[-1] % align)


def _wants_gradient(*tensors: Any) -> bool:
    return torch.is_grad_enabled() and any(each.requires_grad for each in tensors)


def _flash(query: Any, key: Any, value: Any, dropout: float, causal: bool, scale: float | None) -> Any:
    """Flash attention wants head dims in multiples of 8: pad, and cut the result."""
    size = query.shape[-1]
    scale = size**-0.5 if scale is None else scale
    if size % 8:
        query, key, value = (F.pad(each, (0, 8 - size % 8)) for each in (query, key, value))
    run = torch.ops.aten._scaled_dot_product_flash_attention
    out = run(query, key, value, dropout, causal, False, scale=scale)[0]
    return out[..., :size] if size % 8 else out


def _additive(mask: Any, dtype: torch.dtype) -> Any:
    """A boolean mask becomes numbers to add: 0 to keep, minus infinity to hide."""
    if mask is None or mask.dtype != torch.bool:
        return mask
    return torch.where(mask, 0.0, torch.scalar_tensor(float("-inf"), dtype=dtype, device=mask.device))


def _aligned(mask: Any, query: Any, key: Any) -> Any:
    """The efficient kernel reads a mask in rows of 8: pad it, then expand it."""
    if any(step % 8 for step in mask.stride()[:-1]) or mask.stride(-1) != 1:
        last = mask.shape[-1]
        mask = F.pad(mask, (0, 8 - last % 8))[..., :last]
    return mask.expand(query.shape[0], query.shape[1], query.shape[2], key.shape[2])


def _efficient(q: Any, k: Any, v: Any, mask: Any, dropout: float, causal: bool, scale: float | None) -> Any:
    """Memory-efficient attention; it keeps the logsumexp only for a backward pass."""
    mask = _additive(mask, q.dtype)
    if mask is not None:
        mask = _aligned(mask, q, k)
    run = torch.ops.aten._scaled_dot_product_efficient_attention
    return run(q, k, v, mask, _wants_gradient(q, k, v), dropout, causal, scale=scale)[0]


def _run(inputs: Any, dropout: float, causal: bool, scale: float | None, gqa: bool, capability: Capability) -> Any:
    """Runs the kernel that is chosen for query, key, value and mask."""
    query, key, value, mask = inputs
    kernel = choose(query, key, value, mask, dropout, gqa, capability)
    if kernel == "flash":
        return _flash(query, key, value, dropout, causal, scale)
    if kernel == "efficient":
        return _efficient(query, key, value, mask, dropout, causal, scale)
    run = torch.ops.aten._scaled_dot_product_attention_math
    mask = _additive(mask, query.dtype)
    return run(query, key, value, mask, dropout, causal, None, scale=scale, enable_gqa=gqa)[0]


def on_cuda(original: Callable[..., Any], capability: Capability) -> Callable[..., Any]:
    """What stands for `F.scaled_dot_product_attention` on a GPU of that compute capability."""

    def scaled_dot_product_attention(
        query: Any,
        key: Any,
        value: Any,
        attn_mask: Any = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Any:
        inputs = [query, key, value, attn_mask]
        if query.device.type != "cuda":
            return original(*inputs, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)
        if not torch.is_autocast_enabled("cuda"):
            return _run(inputs, dropout_p, is_causal, scale, enable_gqa, capability)
        # Attention is on autocast's half-precision list, and runs with autocast off.
        dtype = torch.get_autocast_dtype("cuda")
        inputs = [x.to(dtype) if x is not None and x.is_floating_point() else x for x in inputs]
        with torch._C._ExcludeDispatchKeyGuard(torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastCUDA)):
            return _run(inputs, dropout_p, is_causal, scale, enable_gqa, capability)

    return scaled_dot_product_attention
