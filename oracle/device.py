"""A fake CUDA device: what must be in place before and after `import torch`.

Import this module before anything that imports torch. `install()` then applies
the patches that a model without values needs; every patch says why.
"""

import ctypes
import functools
import importlib.util
import os
import pathlib
import sys
import warnings


def _load_library():
    """Load the fake device before torch, which looks for CUDA hooks only once."""
    if "torch" in sys.modules:
        raise ImportError("oracle: import device before torch")
    torch_dir = pathlib.Path(importlib.util.find_spec("torch").submodule_search_locations[0])
    library = pathlib.Path(os.environ.get("PEAKMEM_FAKE_CUDA", pathlib.Path(sys.prefix) / "fake_cuda.so"))
    if not library.exists():
        raise ImportError(f"oracle: {library} is missing, run oracle/setup.sh")
    for path in (torch_dir / "lib/libc10.so", torch_dir / "lib/libtorch_cpu.so", library):
        ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)


_load_library()

HAS_KERNELS = False  # libraries whose kernels do not run here are stood in for

import torch  # noqa: E402  (the library must come first)

_KEPT = []  # torch.library registrations end with their object


def _kernels():
    """One op stays one op when its CUDA key has a kernel.

    A CPU build has none for these, so autograd would take them apart into their
    composite formulas, whose temporaries a GPU never makes. Fake tensors use the
    shape functions: these kernels are looked up and never run.
    """
    def never(*args, **kwargs):
        raise RuntimeError("a kernel of the fake device was run")

    library = torch.library.Library("aten", "IMPL")
    for name in ("silu_backward", "mish_backward", "_fused_rms_norm"):
        library.impl(name, never, "CUDA")
    _KEPT.append(library)


def _optimizer_values():
    """Optimizers read their step counters back (`.item()`): any number will do, but RAdam rectifies from step 6 on."""
    import torch.optim as optim
    modules = [m for n, m in sys.modules.items() if n.startswith("torch.optim.") and m]
    for module in modules + [optim]:
        if hasattr(module, "_get_value"):
            module._get_value = lambda x: 10.0 if isinstance(x, torch.Tensor) else x


def _capabilities():
    """Autocast and the grouped GEMM of MoE ask what the GPU can do: a Hopper."""
    import torch.cuda.amp.common as common
    common.amp_definitely_not_available = lambda: False
    torch.cuda.is_bf16_supported = lambda *a, **k: True
    torch.cuda.get_device_capability = lambda *a, **k: (9, 0)


def _apply(self, fn, recurse=True):
    """`Module._apply` that puts new parameters; torch's swaps fake ones, and fails."""
    if recurse:
        for child in self.children():
            child._apply(fn)
    for key, param in self._parameters.items():
        if param is not None:
            with torch.no_grad():
                new = fn(param)
            if new is not param:
                self._parameters[key] = torch.nn.Parameter(new, param.requires_grad)
    for key, buffer in self._buffers.items():
        if buffer is not None:
            self._buffers[key] = fn(buffer)
    return self


def _deepcopy(self, memo):
    """`Parameter.__deepcopy__`; that of a fake one copies its mode too, and fails."""
    if id(self) not in memo:
        memo[id(self)] = self.detach().clone(memory_format=torch.preserve_format)
        if isinstance(self, torch.nn.Parameter):
            memo[id(self)] = torch.nn.Parameter(memo[id(self)], self.requires_grad)
    return memo[id(self)]


def _modules():
    """Conversion of modules, as PEFT does to its adapters, and copies of them."""
    from torch._subclasses.fake_tensor import FakeTensor
    torch.nn.Module._apply = _apply
    FakeTensor.__deepcopy__ = _deepcopy


def _transformers():
    """Take the path of a real run: no fake-tensor masks, no value-dependent init."""
    import transformers
    from transformers.utils import import_utils
    import_utils.is_fake_tensor = lambda x: False
    transformers.logging.set_verbosity_error()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    # Initial values change no byte, and a truncated normal loops until they fit.
    transformers.PreTrainedModel.initialize_weights = lambda self, *a, **k: None


def know_positions():
    """Rotary embeddings that are `dynamic` ask whether the longest position is past those the model was made for: it
    never is here. To be called before models are imported, which take the decorator by name."""
    from transformers import modeling_rope_utils as rope
    original = getattr(rope, "dynamic_rope_update", None)  # from 4.50 on
    if original is None or getattr(original, "knows_positions", False):
        return

    def update(rope_forward):
        inner = original(rope_forward)

        @functools.wraps(rope_forward)
        def forward(*args, **kwargs):
            asked = torch.Tensor.__bool__
            torch.Tensor.__bool__ = lambda tensor: tensor.dtype != torch.bool
            try:
                return inner(*args, **kwargs)
            finally:
                torch.Tensor.__bool__ = asked
        return forward

    update.knows_positions = True
    rope.dynamic_rope_update = update


def install():
    """Apply every patch once."""
    if _KEPT:
        return
    from attention import install as attention
    _kernels()
    _optimizer_values()
    _capabilities()
    _modules()
    _transformers()
    attention()
