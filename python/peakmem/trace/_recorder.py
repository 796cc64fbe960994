"""Every storage on the device, from the op that made it to its last reference."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    UnsupportedOperatorException,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ._ctc import UNSHAPED, USES_LIBRARY
from ._failures import began_in
from ._kernels import RETURN_NOTHING, STRICT, from_engine, in_backward, needs_help
from ._phases import Phases
from ._places import Places
from ._progress import Progress
from ._values import Values, name_of

#: What FakeTensorMode raises where a result depends on values.
BY_VALUE = (DynamicOutputShapeException, DataDependentOutputException)

#: Progress is told whenever these bits of the number of ops are zero.
TICK = 255


@dataclass(slots=True, eq=False)
class Storage:
    """One storage: the first tensor that had it, and what is found out about it while it lives."""

    number: int  # from 1, in the order they were made
    bytes: int
    op: str
    shape: tuple[int, ...]
    dtype: str
    phase: int  # the number of the phase that it was made in
    place: str  # the path of the module, or of the parameter, that it belongs to
    recomputed: bool
    category: str = ""  # where it is known otherwise than by the phase
    saved_by: str = ""  # the op whose backward held it last


@dataclass
class Log:
    """What happened: `events` holds a storage's number where it is made, and its negative where it is let go."""

    storages: list[Storage] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    places: list[str] = field(default_factory=list)  # the module that ran at each event

    def storage(self, event: int) -> Storage:
        return self.storages[abs(event) - 1]


class Recorder(TorchDispatchMode):  # type: ignore[misc, unused-ignore]
    """Logs what ops allocate and what is released, in order."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No wrapper around `__torch_dispatch__`: its caller must be one frame up."""
        return False

    def __init__(self, phases: Phases, places: Places, progress: Progress) -> None:
        super().__init__()
        self.log, self.values = Log(), Values(lambda made: self._see(made, None))
        self.phases, self.places, self.progress = phases, places, progress
        self.live: dict[int, Storage] = {}
        self.ops = 0
        self._op = self._node = ""
        self.blind = 0  # above zero while ops are tried that allocate nothing

    # --- what tensors are for

    def find(self, tensor: Any) -> Storage | None:
        """The live storage of a tensor on the device."""
        tensor = getattr(tensor, "_local_tensor", tensor)
        return self.live.get(tensor.untyped_storage()._cdata)

    def label(self, tensors: Iterable[tuple[str, Any]], category: str) -> None:
        """Says what the storages of these tensors are for, and where they belong."""
        for place, tensor in tensors:
            storage = self.find(tensor)
            if storage and not storage.category:
                storage.category, storage.place = category, place

    # --- events

    def _event(self, signed: int, place: str) -> None:
        self.log.events.append(signed)
        self.log.places.append(place)

    def _see(self, tensor: Any, source: Any) -> None:
        """Logs the storage of an op's result, if it is new."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self.live:
            return
        self.phases.allocates(len(self.log.events))
        made = Storage(
            number=len(self.log.storages) + 1,
            bytes=storage.nbytes(),
            op=self._op,
            shape=tuple(tensor.shape),
            dtype=str(tensor.dtype).removeprefix("torch."),
            phase=self.phases.number,
            place=self._place(source),
            recomputed=self.phases.name == "backward" and self.places.inside,
        )
        self.log.storages.append(made)
        self.live[key] = made
        self._event(made.number, made.place)
        weakref.finalize(storage, self._release, key).atexit = False

    def _place(self, source: Any) -> str:
        """Where what is made now belongs: an optimizer's to the parameter that the op reads."""
        if not self.places.inside and not self.phases.passes and isinstance(source, torch.Tensor):
            read = self.find(source)
            return read.place if read else ""
        return self._here()

    def _here(self) -> str:
        """The module that runs; where a gradient is gathered, its parameter."""
        node = None if self.places.inside else torch._C._current_autograd_node()
        leaf = getattr(node, "variable", None)
        if leaf is None:
            return self.places.now()
        gathered = self.find(leaf)
        return gathered.place if gathered else ""

    def _release(self, key: int) -> None:
        storage = self.live.pop(key)
        if self.phases.name == "backward" and not self.places.inside:
            storage.saved_by = self._node
        self._event(-storage.number, self._here())

    def resized(self, storage: Any) -> None:
        """A storage that is freed or refilled in place ends, and another begins."""
        old = self.live.pop(storage._cdata, None)
        if old is None:
            return
        if old.bytes:
            self._event(-old.number, self.places.now())
        new = Storage(
            len(self.log.storages) + 1, storage.nbytes(), "resize_", old.shape, old.dtype, self.phases.number, old.place,
            old.recomputed, old.category,
        )  # fmt: skip
        self.log.storages.append(new)
        self.live[storage._cdata] = new
        if new.bytes:
            self._event(new.number, self.places.now())

    # --- ops

    def _run(self, func: Any, args: Any, kwargs: Any, caller: Any) -> Any:
        done, result = self.values.instead(func, args, kwargs)
        if done or func in RETURN_NOTHING:
            return result
        if func in USES_LIBRARY:
            return False
        if not torch.is_grad_enabled() and from_engine(caller):
            done, result = in_backward(func, args, kwargs)
            if done:
                return result
        self.ops += 1
        if func in UNSHAPED:
            return UNSHAPED[func](self.values.see, *args, **kwargs)
        if needs_help(func, args):
            self.blind += 1
            try:
                return STRICT[func](func, *args, **kwargs)
            finally:
                self.blind -= 1
        try:
            result = func(*args, **kwargs)
        except UnsupportedOperatorException as error:
            return self.values.without_shape(func, args, kwargs, error)
        except BY_VALUE as error:
            return self.values.by_value(func, args, kwargs, error)
        self.values.learn(func, args, kwargs, result)
        return result

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if any(each.__name__ == "DTensor" for each in types):
            return NotImplemented  # it will come back as ops on this rank's part
        if self.blind:
            return func(*args, **kwargs)
        if func is torch.ops.prim.device.default:
            return func(*args)  # a question, not something that could free memory
        self._op = name_of(func)
        if self.phases.name == "backward":
            node = torch._C._current_autograd_node()
            self._node = node.name() if node is not None else self._node
        try:
            result = self._run(func, args, kwargs, sys._getframe().f_back)
        except Exception as error:
            began_in(error, func, args, kwargs)
            raise
        if self.ops & TICK == 0:
            self.progress.say(f"step {self.phases.step}, {self.phases.name}, {self.ops:,} ops")
        sources = args[0] if args and isinstance(args[0], (list, tuple)) else args[:1]
        one = sources[0] if len(sources) == 1 else None
        for i, leaf in enumerate(tree_leaves(result)):
            if isinstance(leaf, torch.Tensor) and leaf.device.type == "cuda":
                self._see(leaf, sources[i] if i < len(sources) else one)
        return result
