"""The kernel that `scaled_dot_product_attention` takes on a CUDA device.

A CPU build has no CUDA choice and always falls back to the math path, so the
choice is made here as PyTorch's CUDA code makes it
(aten/src/ATen/native/transformers/cuda/sdp_utils.cpp and attention.cpp).
"""

import torch
import torch.nn.functional as F

_original = F.scaled_dot_product_attention
_HALF = (torch.float16, torch.bfloat16)


class Gpu:
    """What the device can do: an A100, or what a case says (75: Turing)."""
    capability = 80


def _alignment(half):
    """Elements that a GEMM needs side by side: 16 bytes where there are tensor cores for the dtype (minimum_gemm_alignment)."""
    tensor_cores = Gpu.capability >= 80 or half and Gpu.capability >= 70
    return 1 if not tensor_cores else 8 if half else 4


def choose(query, key, value, mask, gqa):
    """Name the kernel: flash, efficient or math."""
    sizes = {query.shape[-1], key.shape[-1], value.shape[-1]}
    half = query.dtype in _HALF
    heads = query.shape[1] == key.shape[1] == value.shape[1]
    if half and Gpu.capability >= 80 and mask is None and len(sizes) == 1 and max(sizes) <= 256 and (gqa or heads):
        return "flash"
    align = _alignment(half)
    floating = query.dtype in (torch.float16, torch.float32) + ((torch.bfloat16,) if Gpu.capability >= 80 else ())
    if floating and heads and query.shape[-1] == key.shape[-1] and not any(s % align for s in sizes):
        return "efficient"
    return "math"


def _flash(query, key, value, dropout, causal, scale):
    """Flash attention wants head dims in multiples of 8: pad, and cut the result."""
    size = query.shape[-1]
    scale = size ** -0.5 if scale is None else scale
    if size % 8:
        query, key, value = (F.pad(x, (0, 8 - size % 8)) for x in (query, key, value))
    out = torch.ops.aten._scaled_dot_product_flash_attention(
        query, key, value, dropout, causal, False, scale=scale)[0]
    return out[..., :size] if size % 8 else out


def _additive(mask, dtype):
    """A boolean mask becomes numbers to add: 0 to keep, minus infinity to hide."""
    if mask is None or mask.dtype != torch.bool:
        return mask
    return torch.where(mask, 0.0, torch.scalar_tensor(float("-inf"), dtype=dtype, device=mask.device))


def _aligned(mask, query, key):
    """The efficient kernel reads a mask in rows of 8: pad it, then expand it."""
    if any(s % 8 for s in mask.stride()[:-1]) or mask.stride(-1) != 1:
        last = mask.shape[-1]
        mask = F.pad(mask, (0, 8 - last % 8))[..., :last]
    return mask.expand(query.shape[0], query.shape[1], query.shape[2], key.shape[2])


def _efficient(query, key, value, mask, dropout, causal, scale):
    """Memory-efficient attention; it keeps the logsumexp only for a backward pass."""
    grads = torch.is_grad_enabled() and any(x.requires_grad for x in (query, key, value))
    mask = _additive(mask, query.dtype)
    if mask is not None:
        mask = _aligned(mask, query, key)
    return torch.ops.aten._scaled_dot_product_efficient_attention(
        query, key, value, mask, grads, dropout, causal, scale=scale)[0]


def _attention(query, key, value, mask, dropout, causal, scale, gqa):
    """Run the chosen kernel."""
    kernel = choose(query, key, value, mask, gqa)
    if kernel == "flash":
        return _flash(query, key, value, dropout, causal, scale)
    if kernel == "efficient":
        return _efficient(query, key, value, mask, dropout, causal, scale)
    return torch.ops.aten._scaled_dot_product_attention_math(
        query, key, value, _additive(mask, query.dtype), dropout, causal, None, scale=scale, enable_gqa=gqa)[0]


def sdpa(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
    """Stand in for `F.scaled_dot_product_attention` on the fake CUDA device."""
    if query.device.type != "cuda":
        return _original(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)
    inputs = query, key, value, attn_mask
    if not torch.is_autocast_enabled("cuda"):
        return _attention(*inputs, dropout_p, is_causal, scale, enable_gqa)
    # Attention is on autocast's half-precision list, and runs with autocast off.
    dtype = torch.get_autocast_dtype("cuda")
    inputs = [x.to(dtype) if x is not None and x.is_floating_point() else x for x in inputs]
    key_set = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastCUDA)
    with torch._C._ExcludeDispatchKeyGuard(key_set):
        return _attention(*inputs, dropout_p, is_causal, scale, enable_gqa)


def install():
    """Put the choice where models find it."""
    F.scaled_dot_product_attention = sdpa
