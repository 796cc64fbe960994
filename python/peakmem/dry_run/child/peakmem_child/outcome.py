"""What a process says of itself when it ends: one file of JSON in the folder that the dry run has made for it."""

from __future__ import annotations

import atexit
import json
import os
import sys
import traceback
from typing import Any, Dict, List, Optional

from .peaks import KINDS
from .phases import Phases
from .places import innermost_place, is_users, user_place
from .settings import Settings
from .values import Places

#: How many places of a script are told that read values.
MANY_PLACES = 20


class Outcome:
    """Collects what happens on the way, and writes it once, in the process that it was made for."""

    def __init__(self, torch: Any, settings: Settings, library: Any) -> None:
        self.torch, self.settings, self.library = torch, settings, library
        self.process = os.getpid()
        self.failures: List[Dict[str, Any]] = []
        self.phases: Optional[Phases] = None
        self.places: Places = {}
        torch.cuda._lazy_call(self.start)
        atexit.register(self.write)

    def start(self) -> None:
        """CUDA is in use from now on."""
        self.torch._C._cuda_attach_out_of_memory_observer(self.out_of_memory)
        if self.settings.snapshot:
            self.torch.cuda.memory._record_memory_history(context="all", stacks="python")

    def out_of_memory(self, device: int, bytes: int, total: int, free: int) -> None:
        """Called by the allocator before it raises, whether or not the script catches that."""
        self.failures.append({"device": device, "bytes": bytes, "at": user_place(), "within": innermost_place()})
        self.dump()

    def dump(self) -> None:
        if self.settings.snapshot:
            self.torch.cuda.memory._dump_snapshot(os.path.join(self.settings.folder, f"{self.process}.pickle"))

    def write(self) -> None:
        cuda = self.torch.cuda
        if os.getpid() != self.process or not cuda.is_initialized():
            return
        if self.phases:
            self.phases.happened("failed" if getattr(sys, "last_value", None) else "end")
        if not self.failures:
            self.dump()
        path = os.path.join(self.settings.folder, f"{self.process}.json")
        with open(path + ".part", "w") as file:
            json.dump(self.record(), file)
        os.rename(path + ".part", path)
        self.library.peakmem_leave()

    def record(self) -> Dict[str, Any]:
        rank, world = (os.environ.get(key) for key in ("RANK", "WORLD_SIZE"))
        places = sorted(self.places.items(), key=lambda item: -item[1])
        return {
            "argv": list(sys.orig_argv) if hasattr(sys, "orig_argv") else list(sys.argv),
            "rank": int(rank) if rank else None,
            "world": int(world) if world else None,
            "torch": self.torch.__version__,
            "devices": self.devices(),
            "phases": self.phases.rows() if self.phases else [],
            "steps": self.phases.step if self.phases and self.phases.has_stepped else 0,
            "out_of_memory": self.failures,
            "error": error_of(getattr(sys, "last_value", None)),
            "reads": self.library.peakmem_reads(),
            "places": [[*place, n] for place, n in places[:MANY_PLACES]],
        }

    def devices(self) -> List[Dict[str, int]]:
        """What was highest on each device that was used, and how often the allocator had to give back and try again."""
        rows = []
        for device in range(self.torch.cuda.device_count()):
            highest = [row[3:] for row in (self.phases.rows() if self.phases else []) if row[0] == device]
            stats = self.torch._C._cuda_memoryStats(device)
            values = [max(column) for column in zip(*highest)] or [0] * len(KINDS)
            if values[-1]:
                counts = {name: stats[name] for name in ("num_alloc_retries", "num_ooms")}
                rows.append({"device": device, **dict(zip(KINDS, values)), **counts})
        return rows


def error_of(error: Optional[BaseException]) -> Optional[Dict[str, str]]:
    """What ended the script, in its own words, and where in its own code."""
    if error is None:
        return None
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    lines = [line for _, line in traceback.walk_tb(error.__traceback__)]
    users = [f"{f.f_code.co_filename}:{n} in {f.f_code.co_name}" for f, n in zip(frames, lines) if is_users(f)]
    return {"type": type(error).__name__, "message": str(error), "at": users[-1] if users else "?"}


