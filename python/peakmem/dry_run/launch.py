"""Starts the script on the stand-in, as one process or one for each rank, and reads what its processes say of themselves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._rows import GpuRow
from .child.peakmem_child.library import cache_folder
from .child.peakmem_child.settings import VARIABLE, Settings

#: Programs that start a process for each rank themselves.
LAUNCHERS = frozenset(("torchrun", "accelerate", "deepspeed", "colossalai", "mpirun", "srun"))
#: The same as `python -m`.
LAUNCHER_MODULES = ("torch.distributed.run", "torch.distributed.launch", "accelerate", "deepspeed")

#: What frameworks are told, where the user has not said otherwise.
ENVIRONMENT = {
    "DS_ACCELERATOR": "cuda",  # else DeepSpeed looks for nvidia-smi
    "DS_SKIP_CUDA_CHECK": "1",
    "TORCH_NCCL_ENABLE_MONITORING": "0",  # its thread waits for other ranks' dumps
    "TOKENIZERS_PARALLELISM": "false",
}


@dataclass(frozen=True)
class Run:
    """What is asked: a command, the GPU it is to find, how many of them, and which ranks are really run."""

    command: Sequence[str]
    gpu: GpuRow
    memory_bytes: int
    context_bytes: int
    ranks: int = 1
    wanted: tuple[int, ...] = (0,)
    steps: int | None = None
    snapshot: bool = False
    empty_weights: bool = False
    quiet: bool = False

    @property
    def gpus_here(self) -> int:
        """GPUs of one machine."""
        return min(self.ranks, 8)


@dataclass
class Ran:
    """How the command ended, and its processes' records by their number."""

    code: int
    records: list[dict[str, Any]] = field(default_factory=list)
    snapshots: list[Path] = field(default_factory=list)


def launches_ranks(command: Sequence[str]) -> bool:
    names = [Path(word).name for word in command[:1]]
    modules = [module for flag, module in zip(command, command[1:], strict=False) if flag == "-m"]
    return bool(LAUNCHERS.intersection(names)) or any(module.startswith(LAUNCHER_MODULES) for module in modules)


def environment(run: Run, settings: Settings) -> dict[str, str]:
    """The user's, with the stand-in in front: no real GPU is seen, and nothing that is tuned here is kept for real runs."""
    child = Path(__file__).parent / "child"
    compiled = cache_folder() / "compiled" / run.gpu.name
    gpu = (run.gpu.title, run.gpu.compute_capability, run.gpu.multiprocessors, run.memory_bytes, run.gpus_here, run.context_bytes)
    path = [str(child), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **ENVIRONMENT,
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path),
        "PEAKMEM_GPU": ";".join(map(str, gpu)),
        VARIABLE: settings.text(),
        "CUDA_VISIBLE_DEVICES": "",
        "TORCHINDUCTOR_CACHE_DIR": str(compiled / "inductor"),
        "TRITON_CACHE_DIR": str(compiled / "triton"),
    }


def rank_environments(run: Run) -> Iterator[Mapping[str, str]]:
    """One process, or one for each wanted rank where the command starts none itself."""
    if run.ranks == 1 or launches_ranks(run.command):
        yield {}
        return
    here = run.gpus_here
    for rank in run.wanted:
        places = {"RANK": rank, "LOCAL_RANK": rank % here, "WORLD_SIZE": run.ranks, "LOCAL_WORLD_SIZE": here}
        yield {name: str(n) for name, n in places.items()} | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}


@contextmanager
def folder() -> Iterator[Path]:
    made = tempfile.mkdtemp(prefix="peakmem-dry-run-")
    try:
        yield Path(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def run_command(run: Run, into: Path) -> Ran:
    """Raises OSError where the command cannot be started. Its output is its own; with `quiet` it goes to standard error."""
    settings = Settings(str(into), run.steps, run.snapshot, list(run.wanted) if run.ranks > 1 else None, run.empty_weights)
    ran = Ran(0)
    for rank in rank_environments(run):
        child = {**environment(run, settings), **rank}
        done = subprocess.run(run.command, env=child, stdout=sys.stderr if run.quiet else None, check=False)
        ran.code = ran.code or done.returncode
    for path in sorted(into.glob("*.json"), key=lambda path: int(path.stem)):
        ran.records.append({**json.loads(path.read_text()), "process": int(path.stem)})
    ran.records.sort(key=lambda record: (record.get("rank") or 0, record["process"]))
    return ran
