"""What verify asks, how it finds the card, and what it prints; the trainings themselves need a GPU (record.json is of one
that was not there: `peakmem dry-run --gpu a100-80gb -- python -m peakmem.verify`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import peakmem
from peakmem.verify import command, device
from peakmem.verify.cases import Case, cases

RECORD = json.loads((Path(__file__).parent / "record.json").read_text())


def gpu(name: str) -> Any:
    return device.row_of(device.Device("", 0, 0, 0), name)


@pytest.mark.parametrize(
    ("name", "memory_mib", "capability", "multiprocessors", "expected"),
    [
        ("NVIDIA A100-SXM4-80GB", 81153, 80, 108, "a100-80gb"),
        ("NVIDIA A100-SXM4-40GB", 40326, 80, 108, "a100-40gb"),
        ("Tesla T4", 15095, 75, 40, "t4"),
        ("NVIDIA GeForce RTX 4090", 24080, 89, 128, "rtx-4090"),
        ("NVIDIA H100 80GB HBM3", 81079, 90, 132, "h100-80gb"),
    ],
)
def test_the_card_is_found(name: str, memory_mib: int, capability: int, multiprocessors: int, expected: str) -> None:
    card = device.Device(name, memory_mib * 2**20, capability, multiprocessors)
    assert device.row_of(card, None).name == expected


def test_a_card_that_is_not_known() -> None:
    card = device.Device("NVIDIA MX150", 2 << 30, 61, 3)
    with pytest.raises(peakmem.InputError, match="name the nearest with --gpu"):
        device.row_of(card, None)
    assert device.row_of(card, "T4").name == "t4"
    with pytest.raises(peakmem.InputError, match="no GPU 'x' is known"):
        device.row_of(card, "x")


@pytest.mark.parametrize(("name", "half"), [("t4", "fp16"), ("rtx-3060", "bf16"), ("h200", "bf16")])
def test_cases_fit_the_card(name: str, half: str) -> None:
    row = gpu(name)
    asked = cases(row, "5.23")
    assert asked[-1].name.startswith("llama of")
    assert half in str(asked[-1].options["precision"])
    for case in asked:
        report = case.estimate(name, "5.23")
        assert report.fits, case.name
    assert asked[-1].estimate(name, "5.23").peak.device_bytes > row.memory_bytes // 2


@pytest.mark.parametrize("row", RECORD["cases"], ids=lambda row: row["name"])
def test_what_was_measured_is_what_is_said(row: dict[str, Any]) -> None:
    case = Case(row["name"], row["config"], row["options"])
    mine = command.ours(case, gpu(RECORD["gpu"]["name"]), "5.23")
    assert mine == row["ours"]
    assert mine["allocated"] == row["theirs"]["allocated"]
    assert mine["reserved"] == row["theirs"]["reserved"]


def test_the_record_says_the_context(tmp_path: Path) -> None:
    assert RECORD["context_bytes"] == {"low": 746061824, "high": 746061824}  # what was set aside
    path = tmp_path / "measured.json"
    path.write_text(json.dumps(RECORD))
    report = peakmem.estimate("gpt2", gpu="a100-80gb", context=str(path))
    assert report.peak.device_bytes - report.peak.reserved_bytes == 746061824
    with pytest.raises(peakmem.InputError, match="No such file"):
        peakmem.estimate("gpt2", gpu="a100-80gb", context=str(tmp_path / "other.json"))


MEASURED = {"requested": 90, "allocated": 100, "reserved": 200, "beside": 50, "beside_at_first": 40, "retries": 0}


def test_theirs() -> None:
    assert command.theirs(MEASURED, 10)["context"] == 40
    assert command.theirs(MEASURED, None)["device"] == 250
    assert command.theirs({"failed": "no"}, None) == {"failed": "no"}


def test_lines() -> None:
    mine = {"requested": 99, "allocated": 100, "reserved": 200, "device": 250, "context": 50}
    shown = command.line("gpt2", mine, command.theirs(MEASURED, None)).splitlines()
    assert shown[1].split() == ["requested", "99", "B", "90", "B", "+9", "B", "+10.000", "%"]
    assert command.line("gpt2", mine, {"failed": "no kernel"}).endswith("not measured: no kernel")


def test_without_torch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("importlib.import_module", lambda name: (_ for _ in ()).throw(ImportError("none here")))
    assert command.main([]) == 2
    assert "torch: cannot be imported" in capsys.readouterr().err


def test_without_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["-o", "/no/such/folder/a.json"]) == 2
    assert "there is no folder" in capsys.readouterr().err
