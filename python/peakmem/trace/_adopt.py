"""Live models, optimizers and tensors for the time of a trace: their tensors are swapped for fakes and put back."""

from __future__ import annotations

import contextlib
import functools
import types
from collections import UserDict
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes

from .._errors import InputError
from ._values import give_twin, small_values

#: Tensors that are swapped; subclasses such as packed weights are not.
PLAIN = (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer if hasattr(torch.nn, "Buffer") else torch.nn.Parameter)

#: How deep into a program's own objects it is looked.
DEPTH = 3


class Adoption(contextlib.ExitStack):
    """What was swapped. Nothing is copied but small values; no tensor of the user's is changed."""

    def __init__(self) -> None:
        super().__init__()
        self._fakes: dict[int, Any] = {}  # by id of the real one
        self._bases: dict[int, Any] = {}  # by storage, of what does not fill its own
        self._seen: set[int] = set()
        self._kept: list[Any] = []
        self._moving: Any = None  # the device of the model that is looked into: what is on it goes to the GPU with it

    # --- tensors

    def tensor(self, real: Any, device: str = "cuda") -> Any:
        """A fake on the device with the shape, strides and sharing of a real one."""
        if id(real) in self._fakes:
            return self._fakes[id(real)]
        if type(real) not in PLAIN:
            problem = f"has a {type(real).__module__}.{type(real).__name__}, which has no fake"
            raise InputError("model", problem, "build such a model in a factory")
        fake = self._made(real, device)
        if isinstance(real, torch.nn.Parameter):
            fake = torch.nn.Parameter(fake, real.requires_grad)
        elif real.requires_grad and real.is_leaf:
            fake = fake.requires_grad_()
        if not isinstance(real, torch.nn.Parameter) and (values := small_values(real)) is not None:
            give_twin(fake, values)
        self._fakes[id(real)] = fake
        self._kept.append(real)
        return fake

    def _made(self, real: Any, device: str) -> Any:
        with _disable_current_modes():
            storage = real.untyped_storage()
            key, size = storage._cdata, storage.nbytes()
            fills = size == real.numel() * real.element_size()
            shape, stride, offset = real.shape, real.stride(), real.storage_offset()
        if fills and key not in self._bases:
            fake = torch.empty_strided(shape, stride, dtype=real.dtype, device=device)
            self._bases[key] = fake.detach()
            return fake
        if key not in self._bases:
            self._bases[key] = torch.empty(size // real.element_size(), dtype=real.dtype, device=device)
        return self._bases[key].as_strided(shape, stride, offset)

    # --- objects

    def module(self, model: Any) -> None:
        """A model and all it holds."""
        outer, self._moving = self._moving, next((each.device for each in model.parameters()), None)
        for module in model.modules():
            if id(module) in self._seen:
                continue
            self._seen.add(id(module))
            for held in (module._parameters, module._buffers):
                self._entries(held)
            self._attributes(module, {"_parameters", "_buffers", "_modules"})
        self._moving = outer

    def optimizer(self, optimizer: Any) -> None:
        """An optimizer's parameters and state."""
        if id(optimizer) in self._seen:
            return
        self._seen.add(id(optimizer))
        for group in optimizer.param_groups:
            before = group["params"]
            self.callback(group.__setitem__, "params", before)
            group["params"] = [self.tensor(each) for each in before]
        state = optimizer.state
        self.callback(setattr, optimizer, "state", state)
        fresh = type(state)(dict) if hasattr(state, "default_factory") else type(state)()
        for parameter, values in state.items():
            fresh[self._fakes.get(id(parameter), parameter)] = {
                name: self._state(each) for name, each in values.items()
            }
        optimizer.state = fresh

    def _state(self, value: Any) -> Any:
        """A tensor of the state; counters stay on the CPU."""
        if not isinstance(value, torch.Tensor):
            return value
        if value.dim() == 0 and value.device.type == "cpu":
            with _disable_current_modes():
                number = value.item()
            return torch.tensor(number, dtype=value.dtype)
        return self.tensor(value)

    def _entries(self, held: dict[str, Any]) -> None:
        for name, value in list(held.items()):
            if value is not None:
                self.callback(held.__setitem__, name, value)
                held[name] = self.tensor(value)

    def _attributes(self, owner: Any, without: set[str], depth: int = DEPTH) -> None:
        for name, value in list(vars(owner).items()):
            if name in without or isinstance(value, torch.nn.Module) and isinstance(owner, torch.nn.Module):
                continue
            swapped = self.value(value, depth)
            if swapped is not value:
                self.callback(owner.__dict__.__setitem__, name, value)
                owner.__dict__[name] = swapped

    def value(self, value: Any, depth: int = DEPTH) -> Any:
        """What stands for it: the same object, but for tensors and for tuples that hold some."""
        if isinstance(value, torch.Tensor):
            stays = value.device.type == "cpu" and value.device != self._moving
            return self.tensor(value, "cpu" if stays else "cuda")
        if isinstance(value, torch.nn.Module):
            self.module(value)
        elif isinstance(value, torch.optim.Optimizer):
            self.optimizer(value)
        elif type(value) is tuple:
            swapped = tuple(self.value(each, depth) for each in value)
            return swapped if any(a is not b for a, b in zip(swapped, value)) else value
        elif depth > 0 and id(value) not in self._seen:
            self._inside(value, depth)
        return value

    def _inside(self, value: Any, depth: int) -> None:
        if isinstance(value, (list, dict)):
            self._seen.add(id(value))
            places = range(len(value)) if isinstance(value, list) else list(value)
            for place in places:
                each = value[place]
                swapped = self.value(each, depth - 1)
                if swapped is not each:
                    self.callback(value.__setitem__, place, each)
                    value[place] = swapped
        elif isinstance(value, UserDict):  # as tokenizers return
            self._inside(value.data, depth)
        elif isinstance(value, (types.FunctionType, types.MethodType, functools.partial)):
            self.function(value, depth - 1)
        elif _is_users(value):
            self._seen.add(id(value))
            self._attributes(value, set(), depth - 1)

    # --- programs

    def function(self, function: Callable[..., Any], depth: int = DEPTH) -> None:
        """What a function refers to: its closure, the globals that it names, its defaults, and what it is bound to."""
        if isinstance(function, functools.partial):
            self.value(list(function.args), depth)
            self.value(dict(function.keywords), depth)
            self.function(function.func, depth)
            return
        if isinstance(function, types.MethodType):
            self.value(function.__self__, depth)
            function = function.__func__
        if not isinstance(function, types.FunctionType) or id(function) in self._seen:
            if callable(function) and not isinstance(function, (type, types.FunctionType)):
                self.value(function, depth)
            return
        self._seen.add(id(function))
        for cell in function.__closure__ or ():
            with contextlib.suppress(ValueError):  # not bound yet
                value = cell.cell_contents
                swapped = self.value(value, depth)
                if swapped is not value:
                    self.callback(setattr, cell, "cell_contents", value)
                    cell.cell_contents = swapped
        for name in _names_of(function.__code__) & function.__globals__.keys():
            value = function.__globals__[name]
            if isinstance(value, types.FunctionType) and value.__globals__ is not function.__globals__:
                continue  # a library's
            swapped = self.value(value, depth)
            if swapped is not value:
                self.callback(function.__globals__.__setitem__, name, value)
                function.__globals__[name] = swapped


def _names_of(code: types.CodeType) -> set[str]:
    """The names in a function's code and in the functions inside it."""
    found = set(code.co_names)
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            found |= _names_of(each)
    return found


def _is_users(value: Any) -> bool:
    """Whether it is an object of a class written by the program's author, as far as its module tells."""
    kind = type(value)
    library = kind.__module__.split(".")[0] in ("torch", "builtins", "numpy", "types", "functools", "transformers")
    return not library and not isinstance(value, (type, types.ModuleType)) and hasattr(value, "__dict__")
