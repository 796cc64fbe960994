"""What single packages need beside the stand-in, done when they are imported: a row each, with its reason."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from types import ModuleType
from typing import Any, Callable, Dict, List, Optional, Sequence

Patch = Callable[[Any], None]


class AfterImport(importlib.abc.MetaPathFinder):
    """Calls functions with a module when it has been imported."""

    def __init__(self, patches: Dict[str, List[Patch]]) -> None:
        self.patches = patches
        self.looking = False

    def find_spec(
        self, name: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[importlib.machinery.ModuleSpec]:
        if name not in self.patches or self.looking:
            return None
        self.looking = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.looking = False
        if spec is not None and spec.loader is not None:
            self.then(spec.loader, name)
        return spec

    def then(self, loader: Any, name: str) -> None:
        """A spec may only be looked at (importlib.util.find_spec): the module is patched when it is made, once."""
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            for patch in self.patches.pop(name, []):
                patch(module)

        loader.exec_module = exec_module

    def install(self) -> None:
        sys.meta_path.insert(0, self)


class NoKernels:
    """DeepSpeed compiles its Adams when they are first used, which needs CUDA's compiler; they allocate nothing. All of
    their Python, and so what they keep, is real."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return (lambda *_: 1) if name.startswith(("create", "destroy")) else (lambda *_: None)


def deepspeed_adams(deepspeed: Any) -> None:
    for builder in (deepspeed.ops.op_builder.CPUAdamBuilder, deepspeed.ops.op_builder.FusedAdamBuilder):
        builder.load = lambda self, *_: NoKernels()


def first_of_itself(utils: Any) -> None:
    """ZeRO-3 compares lists with rank 0's, which no other rank can receive here: each takes itself for rank 0."""

    class Dist:
        def __init__(self, comm: Any) -> None:
            self.comm = comm

        def __getattr__(self, name: str) -> Any:
            return (lambda *_, **__: 0) if name == "get_rank" else getattr(self.comm, name)

    utils.dist = Dist(utils.dist)
