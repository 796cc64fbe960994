"""Launch files: read by the core, as the command line reads them."""

from __future__ import annotations

from pathlib import Path

import peakmem
import pytest
from peakmem import InputError
from peakmem import _training_args as reader
from peakmem._keys import keys

FILES = Path(__file__).resolve().parents[2] / "tests" / "launch" / "data"


def test_a_file_and_a_launcher_beside() -> None:
    files = [FILES / "hf-trainer" / "one_gpu.json", FILES / "accelerate" / "ddp.yaml"]
    report = peakmem.from_file(*files, model="qwen2.5-0.5b", seq=64)
    same = peakmem.estimate(
        "qwen2.5-0.5b",
        batch=3,
        seq=64,
        accumulate=6,
        precision="bf16-mixed",
        optimizer_impl="fused",
        checkpointing="full",
        clip_grad=True,
        kernels="liger",
        trainer="hf",
        ddp=3,
        no_sync=True,
    )
    assert report.ledger == same.ledger
    assert report.launch is not None and "max_grad_norm: 0.7" in report.launch.used
    assert report.launch.command.startswith("peakmem qwen2.5-0.5b --seq 64")
    assert "ddp 3" in str(report)


def test_a_command_line() -> None:
    report = peakmem.from_file("trl sft --model_name_or_path HuggingFaceTB/SmolLM2-135M --max_length 64")
    assert report.model == "smollm2-135m" and report.launch is not None


def test_what_is_missing_is_asked() -> None:
    with pytest.raises(InputError) as caught:
        peakmem.from_file(FILES / "hf-trainer" / "fsdp2.yaml")
    assert "--seq" in caught.value.problem and "--fsdp" in caught.value.problem
    with pytest.raises(InputError):
        peakmem.from_file("no-such-file.yaml")


def test_the_keys_are_the_cores() -> None:
    kinds = {key.name: key.kind for key in keys()}
    read = reader.USED - {"accelerator_config"}
    assert {name for name in read if kinds.get(name) != "used"} == set()
