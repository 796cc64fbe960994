"""Where things happen: the module that runs, and in the backward pass the one whose forward op is undone."""

from __future__ import annotations

import bisect
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch


class Places:
    """The paths of modules and of parameters, and the stack of calls.

    Ops of the forward pass are numbered by autograd; the number at which each call began or ended is noted, so that a
    node of the backward pass finds the module it came from.
    """

    def __init__(self) -> None:
        self.modules: dict[int, str] = {}
        self.roots: list[Any] = []
        self._stack = [""]
        self._numbers: list[int] = [-1]
        self._paths: list[str] = [""]

    @property
    def inside(self) -> bool:
        """Whether a module runs."""
        return len(self._stack) > 1

    def add(self, root: Any) -> None:
        """A model: the first one's paths stand alone, others' begin with the name of their class."""
        if id(root) in self.modules:
            return
        prefix = f"{type(root).__name__}{len(self.roots)}" if self.roots else ""
        self.roots.append(root)
        for name, module in root.named_modules(remove_duplicate=False):
            self.modules.setdefault(id(module), ".".join(filter(None, (prefix, name))))

    def named(self, kind: str) -> Iterator[tuple[str, Any]]:
        """All `parameters` or `buffers` of the models, by path."""
        for root in self.roots:
            prefix = self.modules[id(root)]
            for name, tensor in getattr(root, f"named_{kind}")():
                yield ".".join(filter(None, (prefix, name))), tensor

    def now(self) -> str:
        """The path of the module that runs, or whose backward does."""
        if self.inside:
            return self._stack[-1]
        node = torch._C._current_autograd_node()
        if node is None:
            return ""
        return self._paths[bisect.bisect_right(self._numbers, node._sequence_nr()) - 1]

    def _note(self) -> None:
        number = torch._C._autograd._get_sequence_nr()
        if self._numbers[-1] == number:
            self._paths[-1] = self._stack[-1]
        else:
            self._numbers.append(number)
            self._paths.append(self._stack[-1])

    @contextlib.contextmanager
    def calls(self, begins: Callable[[Any], None]) -> Iterator[None]:
        """Follows the calls of modules; `begins` is told of those that no other module made."""
        original = torch.nn.Module.__call__

        def __call__(module: Any, *args: Any, **kwargs: Any) -> Any:
            if not self.inside:
                begins(module)
            self._stack.append(self.modules.get(id(module), self._stack[-1]))
            self._note()
            try:
                return original(module, *args, **kwargs)
            finally:
                self._stack.pop()
                self._note()

        torch.nn.Module.__call__ = __call__
        try:
            yield
        finally:
            torch.nn.Module.__call__ = original
