"""Sweeps of any size as Parquet or Arrow files: `pip install peakmem[frames]`.

    >>> from peakmem import frames
    >>> frames.sweep_to("grid", "gpt2", over=["batch", "seq"], values=["1..64", "128..4096:128"], gpu="a100-80gb")
    >>> frames.read("grid").num_rows
    2048

A sweep is a folder: `sweep.json` says what was asked, and every part of its points is a file. A part is written beside
its place and then put there at once, so that what is there is whole; asked again, the sweep goes on with the parts that
are not. Several processes, of one machine or of many with a common folder, may each take a shard.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._answers import Sweep, ask_sweep
from ._ask import Model, Option, subject
from ._errors import InputError
from ._grid import Grid, axes_of

#: The manifest's kind; another one is another program's, or another version's.
SCHEMA = "peakmem-sweep/1"
FORMATS = {"parquet": ".parquet", "arrow": ".arrow"}
CATEGORIES = (
    "weights",
    "gradients",
    "optimizer",
    "activations",
    "temporaries",
    "inputs",
    "buffers",
    "workspace",
    "rounding",
)
NUMBERS = ("parameters", "tensor_bytes", "allocated_bytes", "first_step_bytes", "device_bytes")
TEXTS = ("phase", "verdict", "error")

#: As many as the core takes.
MOST_SHARDS = 1 << 20

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class PartedGrid:
    """A sweep that is written in parts: what it is asked, how many points it has, and in how many parts."""

    request: dict[str, Any]
    axes: tuple[str, ...]
    points: int
    parts: int
    format: str

    def name_of(self, part: int) -> str:
        return f"part-{part:08d}-of-{self.parts:08d}{FORMATS[self.format]}"


def _arrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise InputError("pyarrow", "is missing", "pip install 'peakmem[frames]'") from None
    return pyarrow


def schema_of(sweep: Sweep, axes: Sequence[str]) -> Any:
    """The columns of a sweep: its number in the grid, the options that vary, bytes, the verdict and the error."""
    arrow = _arrow()
    rows = sweep.rows()
    columns = [("number", arrow.int64())]
    for axis in axes:
        whole = all(isinstance(row[axis], int) for row in rows)
        columns.append((axis, arrow.int64() if whole else arrow.string()))
    columns += [(name, arrow.int64()) for name in NUMBERS]
    columns += [(f"{name}_bytes", arrow.int64()) for name in CATEGORIES]
    columns += [("capacity_bytes", arrow.int64())]
    columns += [(name, arrow.string()) for name in TEXTS]
    return arrow.schema(columns)


def to_arrow(sweep: Sweep) -> Any:
    """A sweep as a pyarrow Table, a row for every point."""
    axes = sweep.over.split(",")
    schema = schema_of(sweep, axes)
    rows = [{**row, "number": sweep.first + i} for i, row in enumerate(sweep.rows())]
    texts = {field.name for field in schema if str(field.type) == "string"}
    for row in rows:
        for name in texts & row.keys():
            row[name] = None if row[name] is None else str(row[name])
    return _arrow().Table.from_pylist(rows, schema=schema)


@contextlib.contextmanager
def _in_place_of(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place when it is whole, and is gone where it is not."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise InputError(str(path.parent), f"cannot be written to: {error.strerror}", "") from None
    try:
        yield Path(name)
        os.replace(name, path)
    except OSError as error:
        raise InputError(str(path), f"cannot be written: {error.strerror or error}", "what is there is whole") from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(name)


def write(table: Any, path: str | os.PathLike[str]) -> None:
    """A pyarrow Table as `.parquet` or `.arrow`, by the path's end, written whole or not at all."""
    place = Path(path)
    arrow = _arrow()
    with _in_place_of(place) as beside:
        if place.suffix == ".parquet":
            import pyarrow.parquet

            pyarrow.parquet.write_table(table, beside)
        elif place.suffix in (".arrow", ".feather"):
            with arrow.OSFile(str(beside), "wb") as sink, arrow.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
        else:
            raise InputError(str(place), "ends with neither .parquet nor .arrow", "")


def _points_of(request: dict[str, Any]) -> int:
    """How many points a grid has: the first shard of very many has few, and says it."""
    sweep = ask_part(request, 0, MOST_SHARDS)
    return sweep.grid if sweep.grid is not None else len(sweep.points)


def ask_part(request: dict[str, Any], part: int, parts: int) -> Sweep:
    """One of many stretches of a grid's points, alike in length."""
    options = {**request["options"], "shard": f"{part}/{parts}"}
    return ask_sweep(subject(request["model"], options))


def plan_grid(
    folder: str | os.PathLike[str],
    model: Model | None,
    varied: tuple[list[str], str],
    part: int,
    form: str,
    options: dict[str, Option],
) -> PartedGrid:
    """Makes the folder and says in it what is asked; of one that is there, that it is the same."""
    if form not in FORMATS:
        raise InputError("format", f'"{form}" is not known', f"known: {', '.join(FORMATS)}")
    if part < 1 or part > 4096:
        raise InputError("part", f"is {part} points", "1 to 4096 are asked for at once")
    if model is not None and not isinstance(model, (str, dict)):
        raise InputError("model", "must be a name, a path or a config", "others cannot be written down")
    axes, text = varied
    request = {"model": model, "options": {**options, "over": ",".join(axes), "values": text}}
    points = _points_of(request)
    parts = max(1, -(-points // part))
    grid = PartedGrid(request, tuple(axes), points, parts, form)
    _hold_to_manifest(Path(folder), grid)
    return grid


def _hold_to_manifest(folder: Path, grid: PartedGrid) -> None:
    manifest = json.dumps(
        {"schema": SCHEMA, **grid.request, "points": grid.points, "parts": grid.parts, "format": grid.format},
        indent=2,
        sort_keys=True,
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(str(folder), f"cannot be made: {error.strerror}", "") from None
    place = folder / "sweep.json"
    if place.exists():
        if place.read_text(encoding="utf-8") != manifest:
            raise InputError(str(folder), "holds another sweep", "name another folder, or ask as it was asked")
        return
    with _in_place_of(place) as beside:
        beside.write_text(manifest, encoding="utf-8")


def missing(folder: str | os.PathLike[str], grid: PartedGrid) -> list[int]:
    """The parts that are not there yet."""
    place = Path(folder)
    return [part for part in range(grid.parts) if not (place / grid.name_of(part)).exists()]


def write_part(folder: str | os.PathLike[str], grid: PartedGrid, part: int) -> int:
    """Writes one part, whoever else may write it too; returns its points."""
    table = to_arrow(ask_part(grid.request, part, grid.parts))
    write(table, Path(folder) / grid.name_of(part))
    return int(table.num_rows)


def show_progress(done: int, parts: int) -> None:
    """A line on a terminal; nothing where standard error is none."""
    if sys.stderr.isatty():
        print(f"\r{done} of {parts} parts", end="\n" if done == parts else "", file=sys.stderr, flush=True)


def sweep_to(
    folder: str | os.PathLike[str],
    model: Model | None = None,
    *,
    over: str | Sequence[str] | None = None,
    values: str | Sequence[Any] | None = None,
    grid: Grid | None = None,
    part: int = 1024,
    shard: tuple[int, int] = (0, 1),
    format: str = "parquet",
    progress: Progress = show_progress,
    **options: Option,
) -> int:
    """Sweeps over a grid of any size, into a folder of Parquet (or Arrow) files; goes on where an earlier call ended.

    Args:
        folder: made where there is none; of another sweep it is refused.
        model: a name, a path, or a config.
        over: as in `peakmem.sweep`, and `values` and `grid` too.
        part: points in a file.
        shard: which of how many processes this one is: it writes every so manieth part.
        format: "parquet", or "arrow" (IPC files).
        progress: is called with the parts done and those of this shard.

    Returns:
        how many points were written now.
    """
    which, shards = shard
    if not 0 <= which < shards:
        raise InputError("shard", f"is {which} of {shards}", "such as (0, 8)")
    _arrow()
    parted = plan_grid(folder, model, axes_of(over, values, grid), part, format, options)
    own = [each for each in missing(folder, parted) if each % shards == which]
    written = 0
    for done, each in enumerate(own):
        written += write_part(folder, parted, each)
        progress(done + 1, len(own))
    return written


def read(folder: str | os.PathLike[str]) -> Any:
    """The parts that are there as one pyarrow Table, in the order of their points."""
    _arrow()
    import pyarrow.dataset

    files = sorted(str(file) for ending in FORMATS.values() for file in Path(folder).glob(f"part-*{ending}"))
    if not files:
        raise InputError(str(folder), "holds no part of a sweep", "")
    form = "parquet" if files[0].endswith(".parquet") else "ipc"
    return pyarrow.dataset.dataset(files, format=form).to_table()
