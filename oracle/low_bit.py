"""bitsandbytes' optimizers: its own classes, with stand-ins for what needs its CUDA library.

Their updates are single kernels (bitsandbytes 0.50.2, backends/cuda/ops.py), which allocate nothing; what counts is
the state that optim/optimizer.py makes.
"""

import bitsandbytes
import torch
from bitsandbytes import functional
from bitsandbytes.optim.optimizer import GlobalOptimManager

from device import HAS_KERNELS

# By a word of their names, which are those of `optim` in transformers' TrainingArguments.
KINDS = {"adamw": "AdamW", "lion": "Lion", "ademamix": "AdEMAMix", "rmsprop": "RMSprop"}


def _get_paged(*shape, dtype=torch.float32, device=None):
    """Managed memory is none of the caching allocator's: a tensor on the CPU, as torch.frombuffer makes it."""
    buffer = torch.empty(shape, dtype=dtype, device="cpu")
    buffer.is_paged, buffer.page_deviceid = True, 0
    return buffer


def _create_dynamic_map(signed=True, max_exponent_bits=7, total_bits=8):
    return torch.empty(2**total_bits, dtype=torch.float32, device="cpu")  # values are of no matter


def _with_kernel(update):
    """The library has no kernel for bf16 gradients of some optimizers (_optimizer_update_32bit_impl)."""
    def checked(name, g, *args, **kwargs):
        if name == "rmsprop" and g.dtype == torch.bfloat16:
            raise ValueError(f"Gradient+optimizer bit data type combination not supported: grad {g.dtype}")
        return update(name, g, *args, **kwargs)
    return checked


_UPDATE_32BIT = functional.optimizer_update_32bit


def install():
    """Apply every patch; a case stands for a process, whose managers are new."""
    functional.get_paged = _get_paged
    functional.fill = functional.prefetch_tensor = lambda *a, **k: None
    functional.create_dynamic_map = _create_dynamic_map
    functional.optimizer_update_32bit = _with_kernel(_UPDATE_32BIT)
    torch.cuda.synchronize = lambda *a, **k: None
    GlobalOptimManager._instance = functional.GlobalPageManager._instance = None


def build(name, params, model, trainer):
    """The optimizer of that name as trainer_optimizer.py of transformers makes it."""
    if not HAS_KERNELS:
        install()
    kind = next(kind for word, kind in KINDS.items() if word in name)
    bits = 8 if "8bit" in name else 32
    paged = {"is_paged": True} if "paged" in name else {}
    optimizer = getattr(bitsandbytes.optim, kind)(params, lr=1e-3, optim_bits=bits, **paged)
    if trainer and bits == 8:  # Trainer.create_optimizer
        for module in model.modules():
            if isinstance(module, torch.nn.Embedding):
                optimizer.mng.register_module_override(module, "weight", {"optim_bits": 32})
    return optimizer
