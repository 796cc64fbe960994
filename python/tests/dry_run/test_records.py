"""What dry runs printed (records/, by measure.py), beside what the core says of the same training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import peakmem
from peakmem.dry_run.report import exit_code

RECORDS = Path(__file__).parent / "records"

#: Of records that the core can say the same of: the question.
QUESTIONS: dict[str, tuple[Any, dict[str, Any]]] = {
    "trainer": (
        "gpt2",
        {"layers": 4, "heads": 4, "hidden": 256, "batch": 4, "seq": 256, "trainer": "hf", "optimizer_impl": "fused"},
    ),
    "qlora": (
        {
            "model_type": "llama",
            "hidden_size": 512,
            "intermediate_size": 1376,
            "num_hidden_layers": 4,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "vocab_size": 32000,
        },
        {
            "batch": 4,
            "seq": 256,
            "trainer": "trl",
            "optimizer_impl": "fused",
            "quantize": "nf4",
            "lora_rank": 16,
            "lora_targets": "all-linear",
            "upcast": "none",
            "init": "loaded",
        },
    ),
}


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RECORDS / f"{name}.json").read_text())
    return found


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_core_says_the_same(name: str) -> None:
    record, (model, options) = read(name), QUESTIONS[name]
    (process,) = record["processes"]
    report = peakmem.estimate(
        model, precision="bf16-mixed", checkpointing="full", clip_grad=True, gpu=record["gpu"], **options
    )
    assert report.peak.reserved_bytes == process["reserved"]
    assert report.peak.allocated_bytes == process["allocated"]


@pytest.mark.parametrize("path", sorted(RECORDS.glob("*.json")), ids=lambda path: path.stem)
def test_every_record_is_of_a_run_with_phases(path: Path) -> None:
    record = json.loads(path.read_text())
    assert exit_code(record) == (1 if path.stem == "out_of_memory" else 0)
    assert record["processes"]
    for process in record["processes"]:
        phases = process["phases"]
        for i, kind in enumerate(("allocated", "requested", "reserved")):
            assert process[kind] == max(phase[2 + i] for phase in phases) > 0
        assert bool(process["steps"]) != bool(process["out_of_memory"])


def test_ranks_of_a_launcher_and_ranks_alone_are_the_same() -> None:
    alone, launched = read("fsdp2")["processes"], read("torchrun")["processes"]
    assert [process["rank"] for process in alone] == [0, 7]
    assert [process["rank"] for process in launched] == [0, 3]
    assert alone[0] == launched[0]


def test_out_of_memory_has_a_place() -> None:
    (process,) = read("out_of_memory")["processes"]
    assert process["out_of_memory"][0]["at"].startswith("nano_gpt.py:61 in forward")
    assert process["phases"][-1][1] == "until it failed"
