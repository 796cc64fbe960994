"""A stretch of a program on fake tensors of a fake device: everything that is in place while it is traced."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from ._device import fake_cuda
from ._gpu import Gpu
from ._mode import failures_told_once, fresh_cache, make_mode, no_search_for_numpy
from ._patches import NOT_COMPILED, Patches, apply_all, is_compiled, patch_scipy, patch_transformers
from ._phases import Phases
from ._places import Places
from ._progress import Progress
from ._recorder import Recorder
from ._values import values_leave_tensors


class Session:
    """What a trace knows: the recorder's log, phases, models and optimizers."""

    def __init__(self, gpu: Gpu, progress: Progress | None = None) -> None:
        self.gpu = gpu
        self.phases, self.places = Phases(), Places()
        self.recorder = Recorder(self.phases, self.places, progress or Progress())
        self._patches = Patches()
        self.notes: list[str] = []  # what must be known of the trace
        self.mode = make_mode()

    @property
    def events(self) -> int:
        return len(self.recorder.log.events)

    def level(self) -> int:
        """Bytes that are allocated."""
        return sum(each.bytes for each in self.recorder.live.values())

    def say(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    # --- what is told by what runs

    def module_called(self, module: Any) -> None:
        """A module that no other called: a model, if it is new."""
        if torch._C._current_autograd_node() is not None:
            return
        patch_transformers(self._patches)
        patch_scipy(self._patches, self.say)
        if any(map(is_compiled, module.modules())):
            self.say(NOT_COMPILED)
        self.places.add(module)
        training = module.training or torch.is_grad_enabled()
        self.phases.forward(self.events, training)
        self.label_model()

    def label_model(self) -> None:
        self.recorder.label(self.places.named("parameters"), "weights")
        self.recorder.label(self.places.named("buffers"), "buffers")

    def label_gradients(self) -> None:
        named = list(self.places.named("parameters"))
        self.recorder.label(((name, each.grad) for name, each in named if each.grad is not None), "gradients")

    def optimizer_made(self, optimizer: Any) -> None:
        self.phases.ready()

    def optimizer_steps(self, optimizer: Any, *_: Any) -> None:
        self.phases.optimizer(self.events)

    def optimizer_stepped(self, optimizer: Any, *_: Any) -> None:
        names = {id(each): name for name, each in self.places.named("parameters")}
        for parameter, state in optimizer.state.items():
            place = names.get(id(parameter), "")
            tensors = ((place, each) for each in state.values() if isinstance(each, torch.Tensor))
            self.recorder.label(tensors, "optimizer")
        self.phases.optimizer_ends()

    # --- being in place

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Ops run on fakes and are recorded."""
        with fake_cuda(), self._patches as patches:
            apply_all(patches, self.gpu, self.level, self.say)
            self._follow(patches)
            # Known values are small; and threads of a process that was forked would never come.
            patches.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(1)
            leaves = values_leave_tensors(self.recorder.values.decide)
            for context in (leaves, fresh_cache(), failures_told_once(), no_search_for_numpy(), self.mode, self.recorder):
                patches.enter_context(context)
            patches.enter_context(self.places.calls(self.module_called))
            patches.callback(self.recorder.progress.end)
            yield

    def _follow(self, patches: Patches) -> None:
        """Be told of backward passes, optimizers and storages that are resized."""
        for register, told in (
            (register_optimizer_step_pre_hook, self.optimizer_steps),
            (register_optimizer_step_post_hook, self.optimizer_stepped),
        ):
            patches.callback(register(told).remove)
        self._follow_backward(patches)
        self._follow_optimizers(patches)
        resize = torch.UntypedStorage.resize_

        def resize_(storage: Any, size: int) -> Any:
            result = resize(storage, size)
            self.recorder.resized(storage)
            return result

        patches.set(torch.UntypedStorage, "resize_", resize_)

    def _follow_backward(self, patches: Patches) -> None:
        original = torch.autograd.backward

        def backward(*args: Any, **kwargs: Any) -> None:
            if torch._C._current_autograd_node() is not None or self.phases.name == "backward" and not self.phases.over:
                original(*args, **kwargs)  # inside of another one: a reentrant checkpoint's
                return
            self.phases.backward(self.events)
            original(*args, **kwargs)
            self.label_gradients()
            self.phases.backward_ends()

        patches.everywhere(original, backward)

    def _follow_optimizers(self, patches: Patches) -> None:
        """An optimizer is there when its class's own __init__ is over, which may allocate its state."""
        depth = 0

        def told(original: Any) -> Any:
            def __init__(optimizer: Any, *args: Any, **kwargs: Any) -> None:
                nonlocal depth
                depth += 1
                try:
                    original(optimizer, *args, **kwargs)
                finally:
                    depth -= 1
                if depth == 0:
                    self.optimizer_made(optimizer)

            return __init__

        kinds, waiting = [], [torch.optim.Optimizer]
        while waiting:
            kind = waiting.pop()
            kinds.append(kind)
            waiting.extend(each for each in kind.__subclasses__() if each not in kinds)
        for kind in kinds:
            if "__init__" in vars(kind):
                patches.set(kind, "__init__", told(vars(kind)["__init__"]))
