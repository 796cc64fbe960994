"""One rank of many, without the others: torch.distributed as it is, over a store in which whatever is waited for is there.

The process group is the real ProcessGroupNCCL over the stand-in's NCCL, whose collectives succeed and move nothing. gloo,
which needs its peers, becomes torch's own "fake" group.
"""

from __future__ import annotations

import importlib
import os
from typing import Any, Dict, List, Optional

#: Answers of this rank where others would say theirs; they travel as tensors, whose sizes would be read as 0.
UNIQUE_ID = bytes(128)  # NCCL's


def is_rank() -> bool:
    """A launcher, or the dry run itself, has made this process one rank of many."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def make_store(dist: Any) -> Any:
    """A store of this process alone."""

    class Alone(dist.Store):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.data: Dict[str, bytes] = {}

        def set(self, key: str, value: Any) -> None:
            self.data[key] = value.encode() if isinstance(value, str) else bytes(value)

        def get(self, key: str) -> bytes:
            return self.data.get(key, UNIQUE_ID)

        def add(self, key: str, n: int) -> int:
            self.data[key] = str(int(self.data.get(key, b"0")) + n).encode()
            return int(self.data[key])

        def wait(self, *_: Any) -> None:
            pass

        def check(self, keys: List[str]) -> bool:
            return all(key in self.data for key in keys)  # truly: NCCL's watchdog asks whether another rank failed

        def delete_key(self, key: str) -> bool:
            return self.data.pop(key, None) is not None

        def num_keys(self) -> int:
            return len(self.data)

        def set_timeout(self, *_: Any) -> None:
            pass

        def compare_set(self, key: str, old: Any, new: Any) -> bytes:
            if self.data.get(key, b"") in (b"", old.encode() if isinstance(old, str) else bytes(old)):
                self.set(key, new)
            return self.get(key)

        def append(self, key: str, value: Any) -> None:
            self.data[key] = self.data.get(key, b"") + bytes(value)

        def multi_get(self, keys: List[str]) -> List[bytes]:
            return [self.get(key) for key in keys]

        def multi_set(self, keys: List[str], values: List[Any]) -> None:
            for key, value in zip(keys, values):
                self.set(key, value)

        def has_extended_api(self) -> bool:
            return True

        def clone(self) -> Any:
            return self

        # C++ calls some by these names.
        compareSet, multiGet, multiSet, hasExtendedApi = compare_set, multi_get, multi_set, has_extended_api
        deleteKey, getNumKeys = delete_key, num_keys

    return Alone()


def stand_alone(c10d: Any) -> None:
    """Patches torch.distributed.distributed_c10d."""
    store = make_store(c10d)  # kept here: C++ alone would not keep its Python half

    def rendezvous(url: str, rank: int = -1, world_size: int = -1, **_: Any) -> Any:
        yield (
            store,
            rank if rank >= 0 else int(os.environ["RANK"]),
            world_size if world_size >= 0 else int(os.environ["WORLD_SIZE"]),
        )

    c10d.rendezvous = rendezvous
    c10d.all_gather_object = all_gather_object
    c10d.gather_object = gather_object
    c10d.broadcast_object_list = c10d.scatter_object_list = c10d.monitored_barrier = nothing
    original = c10d.init_process_group

    def init_process_group(backend: Optional[str] = None, *args: Any, **kwargs: Any) -> Any:
        importlib.import_module("torch.testing._internal.distributed.fake_pg")  # it registers itself

        kwargs.pop("store", None)
        return original(without_gloo(backend), *args, **kwargs)

    groups = c10d.new_group

    def new_group(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("backend"):
            kwargs["backend"] = without_gloo(kwargs["backend"])
        return groups(*args, **kwargs)

    c10d.init_process_group, c10d.new_group = init_process_group, new_group


def without_gloo(backend: Optional[str]) -> str:
    return (backend or "cpu:gloo,cuda:nccl").replace("gloo", "fake")


def nothing(*_: Any, **__: Any) -> None:
    pass


def all_gather_object(objects: List[Any], mine: Any, *_: Any, **__: Any) -> None:
    """Every rank gives what this one gives."""
    objects[:] = [mine] * len(objects)


def gather_object(mine: Any, objects: Optional[List[Any]] = None, *_: Any, **__: Any) -> None:
    if objects is not None:
        all_gather_object(objects, mine)


def shapes_agree(parallel: Any) -> None:
    """DDP compares its parameters' shapes with the other ranks', which read as 0."""
    parallel._verify_param_shape_across_processes = nothing
