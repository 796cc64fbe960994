"""Launch files written: by the core, as the command line writes them."""

from __future__ import annotations

from pathlib import Path

import peakmem
import pytest
from peakmem import InputError


def test_a_file_is_read_back_as_the_same_job(tmp_path: Path) -> None:
    file = peakmem.emit(
        "trl", "smollm2-135m", batch=2, seq=64, precision="bf16", lora_rank=8, lora_targets="all-linear", clip_grad=True
    )
    assert "lora_r: 8" in str(file) and file.start.startswith("accelerate launch")
    path = tmp_path / "trl.yaml"
    path.write_text(file.text)
    report = peakmem.from_file(path)
    assert report.peak.tensor_bytes == file.tensor_bytes
    assert report.launch is not None and report.launch.command == file.command


def test_what_a_file_cannot_say() -> None:
    assert peakmem.emit("hf", "gpt2", batch=2, seq=64).beside == ("--seq 64",)


@pytest.mark.parametrize("tool, options, field", [("hf", {"optimizer": "radam"}, "optimizer"), ("none", {}, "FORMAT")])
def test_refusals_name_the_option(tool: str, options: dict[str, str], field: str) -> None:
    with pytest.raises(InputError) as caught:
        peakmem.emit(tool, "gpt2", **options)
    assert caught.value.field == field


def test_rows_that_differ() -> None:
    report = peakmem.estimate("gpt2", batch=1, precision="bf16", lengths=list(range(10, 110)))
    assert [(row.share, row.seq) for row in report.lengths] == [(0.5, 59), (0.9, 99), (0.99, 108), (1.0, 109)]
    assert report.lengths[-1].tensor_bytes == max(report.peak.tensor_bytes, report.first_step.tensor_bytes)
