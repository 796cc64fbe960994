"""Frozen linear layers in 4 or 8 bits: bitsandbytes' own modules, with stand-ins for its CUDA kernels.

The modules' classes of parameters do not wrap fake tensors: plain parameters carry their attributes. A stand-in
allocates what its kernel's Python side does (bitsandbytes 0.50.2, backends/cuda/ops.py and backends/default/ops.py).
"""

import logging

import bitsandbytes
import peft
import torch
import transformers
from bitsandbytes import functional
from torch._subclasses.fake_tensor import unset_fake_temporarily

from device import HAS_KERNELS

logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it says of every layer that inputs are cast
THRESHOLD = 6.0  # BitsAndBytesConfig.llm_int8_threshold


def quantize(model, case, compute):
    """Linear layers packed as from_pretrained leaves them, and the rest as PEFT prepares it."""
    if not HAS_KERNELS:
        install()
    make = linear_8bit if case["quantize"] == "int8" else linear_4bit
    packs = packed_names(model)
    if case.get("load"):
        from loading import load  # transformers 5 has what it imports
        size = 1 if case["quantize"] == "int8" else 0.5
        is_packed = lambda path: type(model.get_submodule(path)) is torch.nn.Linear and packs(path)
        load(model, lambda path: packed_linear(model.get_submodule(path), case, compute, make) if is_packed(path) else None,
             lambda path, name, p: size if name.endswith(".weight") and is_packed(path) else p.element_size())
    for path, child in list(model.named_modules()):
        if type(child) is torch.nn.Linear and packs(path):
            model.set_submodule(path, packed_linear(child, case, compute, make))
    model.is_loaded_in_8bit = case["quantize"] == "int8"
    model.is_loaded_in_4bit = not model.is_loaded_in_8bit
    if case.get("trainer") != "trl":  # TRL 1.16 leaves the rest as it is
        peft.prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)


def install():
    """Apply every patch."""
    torch.ops.bitsandbytes.gemm_4bit.default = gemm_4bit
    torch.ops.bitsandbytes.int8_vectorwise_quant.default = int8_vectorwise_quant
    torch.ops.bitsandbytes.int8_mixed_scaled_mm = int8_mixed_scaled_mm
    functional.name2qmap.clear()  # made once a process, and a case stands for one
    bitsandbytes.nn.modules.fix_4bit_weight_quant_state_from_module = restore_quant_state


def packed_linear(child, case, compute, make):
    """What a linear layer becomes."""
    linear = make(child, case, compute)
    linear.in_features, linear.out_features = child.in_features, child.out_features
    linear.bias = child.bias
    return linear


def packed_names(model):
    """Which linear layers are packed: all but transformers' own list of those it leaves (quantizers/base.py)."""
    if transformers.__version__.startswith("4"):
        head = model.get_output_embeddings()
        return lambda path: model.get_submodule(path) is not head
    from transformers.quantizers.base import HfQuantizer
    from transformers.quantizers.quantizers_utils import should_convert_module
    left = HfQuantizer.get_modules_to_not_convert(model, None, model._keep_in_fp32_modules)
    return lambda path: should_convert_module(path, left)


def linear_4bit(linear, case, compute):
    """A Linear4bit with the weight of a linear layer."""
    with unset_fake_temporarily():  # its own weight, replaced at once, is a class that fakes cannot be
        packed = bitsandbytes.nn.Linear4bit(1, 1, compute_dtype=compute, device="cpu")
    kind, double_quant = case["quantize"], bool(case.get("double_quant"))
    data, state = functional.quantize_4bit(
        linear.weight.data, blocksize=64, compress_statistics=double_quant, quant_type=kind)
    packed.weight = torch.nn.Parameter(data, requires_grad=False)
    packed.weight.quant_state, packed.weight.quant_type = state, kind
    packed.weight.compress_statistics = double_quant
    packed.quant_state = state
    return packed


def restore_quant_state(module):
    """fix_4bit_weight_quant_state_from_module without the class: what FSDP has gathered is a parameter like any other."""
    if getattr(module.weight, "quant_state", None) is not None:
        return
    module.weight = torch.nn.Parameter(module.weight.detach(), requires_grad=False)
    module.weight.quant_state = module.quant_state


def linear_8bit(linear, case, compute):
    """A Linear8bitLt with the weight of a linear layer, whose kernels compute in fp16 whatever is asked for."""
    with unset_fake_temporarily():
        packed = bitsandbytes.nn.Linear8bitLt(1, 1, has_fp16_weights=False, threshold=THRESHOLD, device="cpu")
    data, scales, _ = functional.int8_vectorwise_quant(linear.weight.data.to(torch.float16))
    packed.weight = torch.nn.Parameter(data, requires_grad=False)
    packed.weight.CB, packed.weight.SCB, packed.weight.has_fp16_weights = data, scales, False
    return packed


def gemm_4bit(A, B, shape, absmax, blocksize, quant_type, bias=None, absmax_8bit=None, absmax_code=None,
              absmax_offset=None):
    """The kernel, or _dequant_linear_fallback where rows are many."""
    if A.numel() // A.shape[-1] <= 1536:
        return A.new_empty((*A.shape[:-1], shape[0]))
    if absmax_8bit is not None:
        unshifted = torch.empty_like(absmax_8bit, dtype=torch.float32)
        absmax = unshifted + absmax_offset
    weight = torch.empty(shape, dtype=A.dtype, device=A.device)
    return torch.nn.functional.linear(A, weight, bias)


def int8_vectorwise_quant(A, threshold=0.0):
    """Rows in 8 bits with a scale each; no value is an outlier here, for there are no values."""
    rows = A.numel() // A.shape[-1]
    row_stats = torch.empty(rows, device=A.device, dtype=torch.float32)
    out_row = torch.empty(A.shape, device=A.device, dtype=torch.int8)
    outlier_cols = None
    if threshold > 0.0:
        outliers = A.abs() >= threshold
        outliers.any()
        outlier_cols = torch.empty(0, device=A.device, dtype=torch.int64)
    if rows > 1 and outlier_cols is not None:
        out_row[:, outlier_cols] = 0
    return out_row, row_stats, outlier_cols


def int8_mixed_scaled_mm(A, CA, CB, SCA, SCB, outlier_cols=None, bias=None):
    """The product without outliers."""
    subA = torch.empty(0, device=A.device, dtype=A.dtype)
    output = int8_scaled_mm(CA, CB, SCA, SCB, bias=bias, dtype=A.dtype)
    return output, subA


def int8_scaled_mm(A, B, row_stats, col_stats, bias=None, dtype=None):
    out_i32 = torch.empty((*A.shape[:-1], B.shape[0]), device=A.device, dtype=torch.int32)
    if A.shape[-1] % 4 != 0:  # no multiple of 4 for cuBLASLt: _int8_linear_matmul_impl goes through fp32
        product = torch.matmul(A.float(), B.float().t()).to(torch.int32)
        out_i32.copy_(product)
        del product
    return int8_mm_dequant(out_i32, bias, dtype)


def int8_mm_dequant(A, bias, dtype):
    out = torch.empty_like(A, dtype=torch.float16)
    if bias is not None and bias.dtype != torch.float16:
        out.add_(bias)
    return out.to(dtype or torch.float16)
