"""The command line of a dry run, what it refuses, and what it prints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from peakmem.dry_run import command
from peakmem.dry_run.launch import Ran, environment, launches_ranks, rank_environments
from peakmem.dry_run.child.peakmem_child.settings import Settings
from peakmem.dry_run.report import answer, exit_code, text

PYTHON = ("--", sys.executable, "train.py")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--gpu", "h10", *PYTHON), "--gpu: no GPU 'h10' is known (did you mean h100?)"),
        (("--gpu", "h100-80gb"), "COMMAND: is missing"),
        (("--gpu", "h100-80gb", "--", "no-such-program"), "COMMAND: no-such-program is not found"),
        (("--gpu", "h100-80gb", "--ranks", "0", *PYTHON), "--ranks: should be 1 or more"),
        (("--gpu", "h100-80gb", "--ranks", "4", "--rank", "4", *PYTHON), "--rank: '4' is not among 4 ranks"),
        (("--gpu", "h100-80gb", "--rank", "first", *PYTHON), "--rank: 'first' is not among 1 ranks"),
        (("--gpu", "h100-80gb", "--context", "much", *PYTHON), "--context: 'much' is no number of MiB"),
        (("--gpu", "h100-80gb", "--snapshot", "/no/such/folder/a.pickle", *PYTHON), "--snapshot: there is no folder"),
    ],
)
def test_refusals(words: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert complaint in err


def test_a_script_that_uses_no_gpu_is_not_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "train.py"
    script.write_text("import os; print(os.environ['PEAKMEM_GPU'])")
    assert command.main(("--gpu", "t4", "--context", "100", "--", sys.executable, "-S", str(script))) == 2
    out, _ = capfd.readouterr()
    assert "NVIDIA T4 16GB;75;40;15655239680;1;104857600" in out
    assert "no process of it used a GPU" in out


def asked(*words: str) -> Any:
    return command.asked(("--gpu", "h100-80gb", *words))[1]


def test_ranks() -> None:
    assert asked("--ranks", "8", *PYTHON).wanted == (0, 7)
    assert asked("--ranks", "8", "--rank", "3,last,0", *PYTHON).wanted == (0, 3, 7)
    assert asked("--ranks", "3", "--rank", "all", *PYTHON).wanted == (0, 1, 2)
    places = [(rank["RANK"], rank["LOCAL_RANK"], rank["WORLD_SIZE"]) for rank in rank_environments(asked("--ranks", "16", *PYTHON))]
    assert places == [("0", "0", "16"), ("15", "7", "16")]


@pytest.mark.parametrize(
    ("words", "launches"),
    [
        (["python", "train.py"], False),
        (["torchrun", "train.py"], True),
        (["/opt/bin/accelerate", "launch", "train.py"], True),
        (["python", "-m", "torch.distributed.run", "train.py"], True),
        (["python", "-m", "train"], False),
    ],
)
def test_launchers(words: list[str], launches: bool) -> None:
    assert launches_ranks(words) is launches


def test_no_real_gpu_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    monkeypatch.setenv("PYTHONPATH", "mine")
    made = environment(asked(*PYTHON), Settings("folder"))
    assert made["CUDA_VISIBLE_DEVICES"] == ""
    assert made["PYTHONPATH"].split(":")[0].endswith("dry_run/child")
    assert made["PYTHONPATH"].split(":")[1] == "mine"


RECORD: dict[str, Any] = {
    "process": 7,
    "argv": ["python", "train.py"],
    "rank": 0,
    "world": 8,
    "torch": "2.13.0",
    "steps": 2,
    "devices": [{"device": 0, "allocated": 3 << 30, "requested": 2 << 30, "reserved": 4 << 30, "num_alloc_retries": 2, "num_ooms": 0}],
    "phases": [[0, 1, "model", 1 << 30, 1 << 30, 1 << 30], [0, 1, "forward", 3 << 30, 2 << 30, 4 << 30]],
    "out_of_memory": [],
    "error": None,
    "reads": 1,
    "places": [["/home/train.py:3 in step", "/venv/site-packages/trl/a.py:9 in loss", "item", 1]],
}


def test_text() -> None:
    run = asked("--ranks", "8", *PYTHON)
    found = answer(run, Ran(0, [RECORD]))
    shown = text(found, "/home")
    assert exit_code(found) == 0
    assert "NVIDIA H100 SXM 80GB, 79.18 GiB: ran" in shown
    assert "rank 0 of 8, torch 2.13.0, 2 steps" in shown
    assert "the peak                          3.00 GiB      2.00 GiB      4.00 GiB" in shown
    assert "tried again 2 times" in shown
    assert "1 × item at train.py:3 in step (trl/a.py:9 in loss)" in shown


@pytest.mark.parametrize(
    ("code", "record", "verdict"),
    [
        (0, {}, "ran"),
        (1, {"out_of_memory": [{"bytes": 1, "at": "a", "within": "a"}]}, "out of memory"),
        (0, {"out_of_memory": [{"bytes": 1, "at": "a", "within": "a"}]}, "ran"),
        (1, {"error": {"type": "ValueError", "message": "x", "at": "train.py:1 in f"}}, "failed"),
    ],
)
def test_verdicts(code: int, record: dict[str, Any], verdict: str) -> None:
    found = answer(asked(*PYTHON), Ran(code, [{**RECORD, **record}]))
    assert found["verdict"] == verdict
    assert text(found, "/")


def test_a_refusal_of_a_process_is_told() -> None:
    found = answer(asked(*PYTHON), Ran(2, [{"refused": "g++ is missing", "process": 1}]))
    assert (found["verdict"], exit_code(found)) == ("not run", 2)
    assert "g++ is missing" in text(found, "/")
