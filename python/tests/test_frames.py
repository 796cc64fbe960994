"""Sweeps in files: whole or not there, gone on with, in shards, and over Ray with a worker that dies."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import peakmem
import pytest
from peakmem import InputError

pyarrow = pytest.importorskip("pyarrow")
from peakmem import frames

ASKED: dict[str, Any] = {
    "over": ["batch", "seq"],
    "values": ["1..5", "16..64:16"],
    "layers": 1,
    "gpu": "t4",
    "reserved": "bounds",
}


def numbers_of(folder: Path) -> list[int]:
    return list(frames.read(folder).column("number").to_pylist())


def test_a_sweep_is_the_same_in_files(tmp_path: Path) -> None:
    assert frames.sweep_to(tmp_path / "grid", "gpt2", part=3, **ASKED) == 20
    table = frames.read(tmp_path / "grid")
    assert table.equals(frames.to_arrow(peakmem.sweep("gpt2", **ASKED)))
    assert numbers_of(tmp_path / "grid") == list(range(20))


@pytest.mark.parametrize("ending", [".parquet", ".arrow"])
def test_a_table_is_written_and_read(tmp_path: Path, ending: str) -> None:
    table = frames.to_arrow(peakmem.sweep("gpt2", **ASKED))
    frames.write(table, tmp_path / f"sweep{ending}")
    import pyarrow.dataset

    form = "parquet" if ending == ".parquet" else "ipc"
    assert pyarrow.dataset.dataset(tmp_path / f"sweep{ending}", format=form).to_table().equals(table)


def test_a_grid_file_says_what_varies(tmp_path: Path) -> None:
    file = tmp_path / "grid.json"
    file.write_text(json.dumps({"batch": "1..5", "seq": [16, 32, 48, 64]}), encoding="utf-8")
    asked = {name: value for name, value in ASKED.items() if name not in ("over", "values")}
    assert peakmem.sweep("gpt2", grid=file, **asked).points == peakmem.sweep("gpt2", **ASKED).points
    assert frames.sweep_to(tmp_path / "parts", "gpt2", grid={"batch": "1..5", "seq": "16..64:16"}, **asked) == 20
    with pytest.raises(InputError, match="grid"):
        peakmem.sweep("gpt2", grid=file, over="batch", values=[1])


def test_what_was_interrupted_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "grid"

    def interrupt(done: int, parts: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        frames.sweep_to(folder, "gpt2", part=4, progress=interrupt, **ASKED)
    assert len(list(folder.glob("part-*"))) == 2
    assert frames.sweep_to(folder, "gpt2", part=4, **ASKED) == 12
    assert frames.sweep_to(folder, "gpt2", part=4, **ASKED) == 0
    assert numbers_of(folder) == list(range(20))


def test_shards_are_the_whole_and_share_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "grid"
    written = [frames.sweep_to(folder, "gpt2", part=3, shard=(i, 3), **ASKED) for i in range(3)]
    assert sum(written) == 20 and all(written)
    assert numbers_of(folder) == list(range(20))


def test_a_part_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet

    def full(table: Any, path: Any) -> None:
        Path(path).write_bytes(b"PAR1")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pyarrow.parquet, "write_table", full)
    with pytest.raises(InputError, match="No space left on device"):
        frames.sweep_to(tmp_path / "grid", "gpt2", part=8, **ASKED)
    assert [file.name for file in (tmp_path / "grid").iterdir()] == ["sweep.json"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(InputError, match="cannot be"):
        frames.sweep_to(tmp_path / "grid", "gpt2", **ASKED)


def test_another_sweep_is_refused(tmp_path: Path) -> None:
    frames.sweep_to(tmp_path / "grid", "gpt2", **ASKED)
    with pytest.raises(InputError, match="holds another sweep"):
        frames.sweep_to(tmp_path / "grid", "gpt2", **{**ASKED, "layers": 2})
    assert json.loads((tmp_path / "grid" / "sweep.json").read_text())["schema"] == frames.SCHEMA


def test_points_that_are_no_job_say_why(tmp_path: Path) -> None:
    frames.sweep_to(
        tmp_path / "grid", "gpt2", over="optimizer-impl", values="all", optimizer="adafactor", seq=16, layers=1
    )
    table = frames.read(tmp_path / "grid")
    errors = dict(zip(table["optimizer-impl"].to_pylist(), table["error"].to_pylist(), strict=True))
    assert "has no fused implementation" in errors["fused"]
    assert any(error is None for error in errors.values())


def test_ray_loses_nothing_when_a_worker_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    import peakmem.ray

    folder = tmp_path / "grid"
    marker = tmp_path / "died"
    write_part = frames.write_part

    def dies_once(place: Any, grid: frames.PartedGrid, part: int) -> int:
        if part == 2 and not marker.exists():
            marker.write_text("once")
            os._exit(1)
        return write_part(place, grid, part)

    monkeypatch.setattr(frames, "write_part", dies_once)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        assert peakmem.ray.sweep_to(folder, "gpt2", part=4, **ASKED) == 20
    finally:
        ray.shutdown()
    assert marker.exists()
    assert numbers_of(folder) == list(range(20))
