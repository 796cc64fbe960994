"""Sweeps over a cluster, by Ray: `pip install peakmem[ray]`.

    >>> import peakmem.ray
    >>> peakmem.ray.sweep_to("/shared/grid", "gpt2", over=["batch", "seq"], values=["1..64", "128..4096:128"])

Each part of the grid is a task; the folder must be one that all machines see. A part that a worker did not finish is
done again by another, and a part that is there is whole (peakmem.frames), so nothing is lost and nothing is there twice.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from typing import Any

from . import frames
from ._ask import Model, Option
from ._errors import InputError
from ._grid import Grid, axes_of


def _ray() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise InputError("ray", "is missing", "pip install 'peakmem[ray]'") from None


def sweep_to(
    folder: str | os.PathLike[str],
    model: Model | None = None,
    *,
    over: str | Sequence[str] | None = None,
    values: str | Sequence[Any] | None = None,
    grid: Grid | None = None,
    part: int = 1024,
    format: str = "parquet",
    retries: int = 3,
    progress: frames.Progress = frames.show_progress,
    **options: Option,
) -> int:
    """`peakmem.frames.sweep_to` with the parts as tasks of Ray, which must be running or is started here.

    Args:
        retries: how often a part is tried again whose worker died.

    Returns:
        how many points were written now.
    """
    ray = _ray()
    place = os.path.abspath(os.fspath(folder))
    parted = frames.plan_grid(place, model, axes_of(over, values, grid), part, format, options)
    parts = frames.missing(place, parted)
    if not ray.is_initialized():
        ray.init()
    task = ray.remote(max_retries=retries)(frames.write_part)
    waiting = [task.remote(place, parted, each) for each in parts]
    written = 0
    for done in range(len(parts)):
        ready, waiting = ray.wait(waiting, num_returns=1)
        written += int(ray.get(ready[0]))
        progress(done + 1, len(parts))
    return written
