"""What must be otherwise while a step runs on fake tensors, each with its reason; all of it is put back afterwards."""

from __future__ import annotations

import contextlib
import importlib
import sys
import types
import weakref
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
import torch.cuda.amp.common  # noqa: F401
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from torch.utils._device import _device_constructors

from ._attention import on_cuda
from ._ctc import with_numbers
from ._gpu import Gpu
from ._kernels import CUDA_KERNELS
from ._values import as_numbers

_MISSING = object()


class Patches(contextlib.ExitStack):
    """Attributes that are set until the end."""

    def set(self, owner: Any, name: str, value: Any) -> None:
        before = vars(owner).get(name, _MISSING) if isinstance(owner, type) else getattr(owner, name, _MISSING)
        if before is _MISSING:
            self.callback(delattr, owner, name)
        else:
            self.callback(setattr, owner, name, before)
        setattr(owner, name, value)

    def everywhere(self, original: Any, value: Any) -> None:
        """In every module that has bound it."""
        for module in list(sys.modules.values()):
            names = [name for name, bound in list(getattr(module, "__dict__", {}).items()) if bound is original]
            for name in names:
                self.set(module, name, value)


def apply_all(patches: Patches, gpu: Gpu, level: Callable[[], int], say: Callable[[str], None]) -> None:
    """`level` says how many bytes are allocated; `say` takes what must be known of the trace."""
    patches.everywhere(F.scaled_dot_product_attention, on_cuda(F.scaled_dot_product_attention, gpu.capability))
    patches.everywhere(F.ctc_loss, with_numbers(F.ctc_loss, say))
    _cuda(patches, gpu, level)
    _kernels(patches)
    _optimizers(patches)
    _modules(patches)
    _initial_values(patches)
    _compiler(patches, say)
    _numbers(patches)
    patch_transformers(patches)
    patch_scipy(patches, say)


def _numbers(patches: Patches) -> None:
    """Lists of tensors become numbers before `torch.tensor` reads them, which asks no mode for their values."""
    original = torch.tensor
    _device_constructors()  # which it keeps, and must keep with what torch.tensor was

    def tensor(data: Any, *args: Any, **kwargs: Any) -> Any:
        return original(as_numbers(data) if type(data) in (list, tuple) else data, *args, **kwargs)

    patches.set(torch, "tensor", tensor)


def _cuda(patches: Patches, gpu: Gpu, level: Callable[[], int]) -> None:
    """What programs ask of the GPU."""
    major, minor = gpu.capability
    properties = types.SimpleNamespace(
        name=gpu.title,
        major=major,
        minor=minor,
        total_memory=gpu.memory,
        multi_processor_count=gpu.multiprocessors,
        warp_size=32,
    )
    answers: dict[str, Any] = {
        "device_count": 1,
        "current_device": 0,
        "set_device": None,
        "synchronize": None,
        "empty_cache": None,
        "is_current_stream_capturing": False,
        "is_bf16_supported": major >= 8,
        "get_device_capability": gpu.capability,
        "get_device_name": gpu.title,
        "get_device_properties": properties,
        "reset_peak_memory_stats": None,
        "manual_seed": None,
        "manual_seed_all": None,
        "_lazy_init": None,
    }
    for name, answer in answers.items():
        patches.set(torch.cuda, name, lambda *args, _answer=answer, **kwargs: _answer)
    patches.set(torch.cuda, "is_available", lambda: not _importing())
    for name in ("memory_allocated", "max_memory_allocated", "memory_reserved", "max_memory_reserved"):
        patches.set(torch.cuda, name, lambda *args, **kwargs: level())
    patches.set(torch.cuda, "mem_get_info", lambda *args: (max(gpu.memory - level(), 0), gpu.memory))
    patches.set(torch.cuda, "device", lambda *args: contextlib.nullcontext())
    # As without a GPU: `torch.tensor` makes its values on the CPU first.
    patches.set(FakeTensorMode, "avoid_device_init", True)
    patches.set(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)


def _importing() -> bool:
    """Whether a module is being imported: it stays after the trace, and must know the machine as it is."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def _kernels(patches: Patches) -> None:
    """One op stays one op where CUDA has a kernel: a CPU build has none, so that autograd would take these apart into
    formulas whose temporaries a GPU never makes. Fake tensors use the shape functions."""

    def never(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("a kernel of the fake device was run")

    library = torch.library.Library("aten", "IMPL")
    patches.callback(library._destroy)
    for name in CUDA_KERNELS:
        known = hasattr(torch.ops.aten, name)
        if known and not torch._C._dispatch_has_kernel_for_dispatch_key(f"aten::{name}", "CUDA"):
            library.impl(name, never, "CUDA")


def _optimizers(patches: Patches) -> None:
    """Optimizers read their counters back, and choose their implementation by the parameters' type."""
    for check in ("_accelerator_graph_capture_health_check", "_cuda_graph_capture_health_check"):
        if hasattr(torch.optim.Optimizer, check):  # of a stream that is not there
            patches.set(torch.optim.Optimizer, check, lambda optimizer: None)
    for name, module in list(sys.modules.items()):
        if name.startswith("torch.optim") and hasattr(module, "_get_value"):
            # Any number will do, but RAdam rectifies from step 6 on.
            patches.set(module, "_get_value", lambda x: 10.0 if isinstance(x, torch.Tensor) else x)
    for module in map(importlib.import_module, ("torch.optim.optimizer", "torch.utils._foreach_utils")):
        patches.set(module, "_foreach_supported_types", [*module._foreach_supported_types, FakeTensor])


#: What each conversion has made of parameters that modules share: the function that converts to {id: (old, new)}.
_converted: weakref.WeakKeyDictionary[Any, dict[int, tuple[Any, Any]]] = weakref.WeakKeyDictionary()


def _apply(self: Any, fn: Callable[[Any], Any], recurse: bool = True) -> Any:
    """`Module._apply` that puts new parameters; torch's swaps the data of fake ones, and fails."""
    shared = _converted.setdefault(fn, {})
    if recurse:
        for child in self.children():
            child._apply(fn)
    for key, parameter in self._parameters.items():
        if parameter is None:
            continue
        if id(parameter) not in shared:
            with torch.no_grad():
                new = fn(parameter)
            if new is not parameter:
                new = torch.nn.Parameter(new, parameter.requires_grad)
            shared[id(parameter)] = parameter, new
        self._parameters[key] = shared[id(parameter)][1]
    for key, buffer in self._buffers.items():
        if buffer is not None:
            self._buffers[key] = fn(buffer)
    return self


def _deepcopy(self: Any, memo: dict[int, Any]) -> Any:
    """That of a fake tensor copies its mode too, and fails."""
    if id(self) not in memo:
        copy = self.detach().clone(memory_format=torch.preserve_format)
        memo[id(self)] = torch.nn.Parameter(copy, self.requires_grad) if isinstance(self, torch.nn.Parameter) else copy
    return memo[id(self)]


def _modules(patches: Patches) -> None:
    patches.set(torch.nn.Module, "_apply", _apply)
    patches.set(FakeTensor, "__deepcopy__", _deepcopy)


def _initial_values(patches: Patches) -> None:
    """They change no byte, and a truncated normal draws until all fit."""

    def unless_fake(original: Callable[..., Any]) -> Callable[..., Any]:
        def init(tensor: Any, *args: Any, **kwargs: Any) -> Any:
            return tensor if isinstance(tensor, FakeTensor) else original(tensor, *args, **kwargs)

        return init

    for name, function in list(vars(torch.nn.init).items()):
        if name.endswith("_") and not name.startswith("_") and callable(function):
            patches.set(torch.nn.init, name, unless_fake(function))


def _compiler(patches: Patches, say: Callable[[str], None]) -> None:
    """Nothing is compiled: a compiled step allocates otherwise, by the plan of its compiler."""
    original = torch.compile

    def compile(model: Any = None, *args: Any, **kwargs: Any) -> Any:  # noqa: A001
        if _importing():
            return original(model, *args, **kwargs)
        say(NOT_COMPILED)
        return model if model is not None else lambda function: function

    patches.set(torch, "compile", compile)
    if "torch._dynamo" in sys.modules and hasattr(torch.compiler, "set_stance"):  # what was compiled before
        patches.enter_context(torch.compiler.set_stance("force_eager"))


NOT_COMPILED = "torch.compile is left out: the code runs as it is written, a compiled one allocates less or more"


def is_compiled(module: Any) -> bool:
    return type(module).__name__ == "OptimizedModule"


def patch_scipy(patches: Patches, say: Callable[[str], None]) -> None:
    """Losses of detection match boxes by their values. How many are matched does not depend on them: here each with the
    one of its number. scipy may be imported while a trace runs."""
    library = sys.modules.get("scipy.optimize")
    original = getattr(library, "linear_sum_assignment", None)
    if original is None or getattr(original, "of_fakes", False):
        return

    def linear_sum_assignment(costs: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(costs, FakeTensor):
            return original(costs, *args, **kwargs)
        import numpy

        say("a Hungarian matching without values: each row with the column of its number")
        pairs = numpy.arange(min(costs.shape))
        return pairs, pairs

    linear_sum_assignment.of_fakes = True  # type: ignore[attr-defined]
    patches.everywhere(original, linear_sum_assignment)


def patch_transformers(patches: Patches) -> None:
    """transformers asks whether a tensor is fake and then takes the path of a compiler, and keeps what it was told of the
    machine. It may be imported while a trace runs: once it is there, each is patched once."""
    utils = sys.modules.get("transformers.utils.import_utils")
    if utils is not None and getattr(utils, "is_fake_tensor", never_fake) is not never_fake:
        patches.set(utils, "is_fake_tensor", never_fake)
        _forget_machine()
        patches.callback(_forget_machine)
    modeling = sys.modules.get("transformers.modeling_utils")
    if modeling is not None and modeling.PreTrainedModel.initialize_weights is not leave_values:
        patches.set(modeling.PreTrainedModel, "initialize_weights", leave_values)


def never_fake(tensor: Any) -> bool:
    return False


def leave_values(model: Any, *args: Any, **kwargs: Any) -> None:
    """Initial values change no byte."""


def _forget_machine() -> None:
    for function in list(vars(sys.modules["transformers.utils.import_utils"]).values()):
        if hasattr(function, "cache_clear"):
            function.cache_clear()
