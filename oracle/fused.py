"""Fused kernels in place of a model's own modules: Liger's, TRL's loss in tiles, the flash-attn package.

Their autograd Functions are Python that allocates with torch and launches kernels. Here launches do nothing, so what is
counted is what the libraries' own code allocates. Buffers that depend on the number of multiprocessors are those of an
A100 (108).
"""

import contextlib
import importlib
import importlib.machinery
import sys
import types

import torch

import preference
from device import HAS_KERNELS
from transformers.models.auto.configuration_auto import model_type_to_module_name

MULTIPROCESSORS = 108
# What a case's "kernels" say, and what Liger's apply_liger_kernel_to_* functions call it.
LIGER = {"norm": ("rms_norm",), "mlp": ("swiglu", "geglu"), "rope": ("rope",)}


@contextlib.contextmanager
def _cuda_is_available():
    """Liger asks once, when it is imported and when it picks an implementation."""
    original, torch.cuda.is_available = torch.cuda.is_available, lambda: True
    try:
        yield
    finally:
        torch.cuda.is_available = original


def _install_triton():
    """Launching a kernel does nothing."""
    import triton
    triton.runtime.jit.JITFunction.run = lambda self, *args, **kwargs: None
    triton.runtime.autotuner.Autotuner.run = lambda self, *args, **kwargs: None
    if HAS_KERNELS:
        return
    torch.cuda.get_device_properties = lambda *a: types.SimpleNamespace(multi_processor_count=MULTIPROCESSORS)
    torch.cuda.device = lambda *a: contextlib.nullcontext()


def _install_liger():
    """Import Liger as it is on a machine with a GPU."""
    importlib.import_module("peft")  # which Liger imports, and which must not see the fake
    with _cuda_is_available():
        importlib.import_module("liger_kernel.transformers")
    from liger_kernel.backends.capability import Capability
    original = Capability._evaluate

    def evaluate(self, device=None):
        with _cuda_is_available():
            return original(self, device)

    if not getattr(original, "asks_the_fake", False):
        evaluate.asks_the_fake = True
        Capability._evaluate = evaluate
    if HAS_KERNELS:
        return
    from liger_kernel.ops import fused_linear_cross_entropy as loss
    backward = loss.fused_linear_cross_entropy_backward

    def lifting_backward(*gradients):
        torch._C._set_only_lift_cpu_tensors(True)  # for torch.tensor in autograd's thread, as the fake mode has it in ours
        return backward(*gradients)

    loss.fused_linear_cross_entropy_backward = lifting_backward


def _apply_liger(case, model):
    """What Trainer does for `use_liger_kernel=True` with these flags in `liger_kernel_config`."""
    import inspect
    from liger_kernel.transformers.monkey_patch import MODEL_TYPE_TO_APPLY_LIGER_FN
    apply = MODEL_TYPE_TO_APPLY_LIGER_FN[case["config"]["model_type"]]
    known = inspect.signature(apply).parameters
    flags = {flag: case["kernels"].get(kind) == "fused" for kind, names in LIGER.items() for flag in names if flag in known}
    flags["fused_linear_cross_entropy"] = case["kernels"].get("loss") == "fused-linear"
    flags["cross_entropy"] = False  # on for Granite, whose fused loss raises; on whole logits it is not modelled
    apply(model=model, **flags)


@contextlib.contextmanager
def scope(case):
    """Liger patches transformers' modules for good; put back what was there when the case ends."""
    family = model_type_to_module_name(case["config"]["model_type"])
    module = importlib.import_module(f"transformers.models.{family}.modeling_{family}")
    before = dict(vars(module))
    if case["attention"] == "flash2":
        install_flash()
        from transformers.modeling_flash_attention_utils import _flash_attention_forward
        vars(module).setdefault("_flash_attention_forward", _flash_attention_forward)  # what some import if they can
    try:
        yield
    finally:
        vars(module).update(before)


def apply(case, model):
    """Give a model the kernels of its case."""
    kernels = case.get("kernels")
    if not kernels:
        return
    _install_triton()
    if "fused" in kernels.values() or kernels.get("loss") == "fused-linear":
        _install_liger()
        _apply_liger(case, model)
    if "foak" in kernels.values():
        _apply_foak(kernels, model)
    if kernels.get("loss") == "chunked":
        from trl.trainer.utils import add_fused_lm_head
        add_fused_lm_head(model, outputs=preference.outputs_of(case))  # SFTTrainer's, or another's


def _apply_foak(kernels, model):
    """What the rules of fms-acceleration-foak (models/*.py) put in place for the norms and for the loss."""
    from fms_acceleration_foak.kernels.unsloth import cross_entropy_loss, rms_layernorm
    if kernels.get("norm") == "foak":
        for norm in model.modules():
            if type(norm).__name__.endswith("RMSNorm"):
                norm.forward = types.MethodType(rms_layernorm.fast_rms_layernorm, norm)
    if kernels.get("loss") == "foak":
        module = sys.modules[type(model).__module__]
        if hasattr(module, "CrossEntropyLoss"):
            module.CrossEntropyLoss = cross_entropy_loss.FastCrossEntropyLoss
        if hasattr(model, "loss_function"):
            from transformers.loss.loss_utils import LOSS_MAPPING
            LOSS_MAPPING["foak"], model.loss_type = cross_entropy_loss.FastForCausalLMLoss, "foak"


def arguments(case):
    """What the model's forward is told besides the batch."""
    return {"fused_lm_head": True} if case.get("kernels", {}).get("loss") == "chunked" else {}


def _round_up(size, step):
    return -(-size // step) * step


class FlashAttention(torch.autograd.Function):
    """flash_attn_func of flash-attn 2.8: FlashAttnFunc (flash_attn_interface.py) around mha_fwd and mha_bwd, with what
    those allocate (csrc/flash_attn/flash_api.cpp). Splitting small grids over the keys is left out."""

    @staticmethod
    def forward(ctx, q, k, v, dropout):
        if q.dtype not in (torch.float16, torch.bfloat16):
            raise RuntimeError("FlashAttention only support fp16 and bf16 data type")
        batch, seq, heads, size = q.shape
        if size > 256:
            raise RuntimeError("FlashAttention forward only supports head dimension at most 256")
        if size % 8:
            q, k, v = (torch.nn.functional.pad(x, [0, 8 - size % 8]) for x in (q, k, v))
        out_padded = torch.empty_like(q, memory_format=torch.contiguous_format)
        softmax_lse = torch.empty((batch, heads, seq), dtype=torch.float32, device=q.device)
        rng_state = torch.empty((2,), dtype=torch.int64, device=q.device)
        ctx.save_for_backward(q, k, v, out_padded, softmax_lse, rng_state)
        return out_padded[..., :size]

    @staticmethod
    def backward(ctx, dout):
        q, k, v, out, softmax_lse, rng_state = ctx.saved_tensors
        dq, dk, dv = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
        size = dout.shape[3]
        dout_padded = dout
        if size % 8:
            dout_padded = torch.nn.functional.pad(dout, [0, 8 - size % 8])
        FlashAttention.kernel(dout_padded, q, k, dk, dv)
        dq, dk, dv = (x[..., :size] for x in (dq, dk, dv))
        return dq, dk, dv, None

    @staticmethod
    def kernel(dout, q, k, dk, dv):
        """mha_bwd."""
        if dout.stride(-1) != 1:
            dout = dout.contiguous()
        batch, seq, heads, size = q.shape
        rows = _round_up(seq, 128)
        columns = _round_up(size, 32) if size <= 192 else 256
        softmax_d = torch.empty((batch, heads, rows), dtype=torch.float32, device=q.device)
        dq_accum = torch.empty((batch, rows, heads, columns), dtype=torch.float32, device=q.device)
        if k.shape[2] != heads:
            dk_expanded = torch.empty((batch, seq, heads, size), dtype=q.dtype, device=q.device)
            dv_expanded = torch.empty((batch, seq, heads, size), dtype=q.dtype, device=q.device)


def flash_attn_func(q, k, v, dropout_p=0.0, softmax_scale=None, causal=False, window_size=(-1, -1), softcap=0.0,
                    alibi_slopes=None, deterministic=False, return_attn_probs=False):
    if softcap > 0.0 and dropout_p > 0.0:
        raise RuntimeError("Softcapping does not support dropout for now")
    return FlashAttention.apply(q, k, v, dropout_p)


def _no_padding(*args, **kwargs):
    raise RuntimeError("flash_attn with padding is not measured")


def _varlen(q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, dropout_p=0.0, softmax_scale=None,
            causal=False, window_size=(-1, -1), softcap=0.0, deterministic=False):
    _no_padding()


def install_flash_4_48(model, utils):
    """The names that transformers 4.48 takes from the package when it is imported, and its question whether it may."""
    utils.flash_attn_func, utils._flash_supports_window_size = flash_attn_func, True
    model._check_and_enable_flash_attn_2 = classmethod(lambda cls, config, *a, **k: config)
    anywhere = torch.Tensor.any  # is any token padding? no
    torch.Tensor.__contains__ = lambda self, element: anywhere(self == element) is None  # `0.0 in attention_mask`
    torch.Tensor.any = lambda self: anywhere(self) is None  # `(attention_mask == 0.0).any()`


def install_flash():
    """A stand-in for the package, which has no build without CUDA."""
    from transformers import PreTrainedModel, modeling_flash_attention_utils as utils
    package = types.ModuleType("flash_attn")
    package.__spec__ = importlib.machinery.ModuleSpec("flash_attn", None)  # older versions look for it
    package.flash_attn_func, package.flash_attn_varlen_func, package.flash_attn_with_kvcache = (
        flash_attn_func, _varlen, _varlen)
    padding = types.ModuleType("flash_attn.bert_padding")
    padding.pad_input = padding.unpad_input = _no_padding
    sys.modules.update({"flash_attn": package, "flash_attn.bert_padding": padding})
    PreTrainedModel._flash_attn_can_dispatch = lambda self, *a, **k: True
    utils.is_flash_attn_2_available = lambda *a, **k: True
    if not hasattr(utils, "_is_packed_sequence"):
        return install_flash_4_48(PreTrainedModel, utils)
    if not hasattr(utils, "asks_for_packing"):
        # A batch of one is looked at for packed sequences; here it never is one, so that only the question counts.
        utils.asks_for_packing = utils._is_packed_sequence
        utils._is_packed_sequence = lambda positions, batch: utils.asks_for_packing(positions, batch) is None
