"""What the core says of a trace is what the trace says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from levels import phases_of
from models import Decoder, batch

import peakmem
from peakmem.trace import _family_file


def make(B: int, T: int, L: int) -> tuple[Any, Any]:
    ids = torch.zeros(B, T, dtype=torch.long)
    return Decoder(L, 32, 4, 101, 256), (ids, ids)


AT = {"B": 6, "T": 40, "L": 7}


@pytest.fixture(scope="module")
def decoder() -> Any:
    return peakmem.trace(make, at=AT, optimizer="sgd", name="decoder")


@pytest.mark.parametrize("options", [{}, {"accumulate": 2, "clip_grad": 1.0}, {"precision": "bf16-mixed"}])
def test_the_report_has_the_peaks_of_every_phase(options: dict[str, Any], tmp_path: Path) -> None:
    trace = peakmem.trace(Decoder, batch(), name="mine", **options)
    steady = phases_of(trace.members, 2)
    report = trace.report
    assert report.model == "mine"
    assert report.peak.tensor_bytes == max(each.peak for each in steady.values())
    assert sum(row.bytes for row in trace.ledger) == report.peak.allocated_bytes
    assert report.parameters.total == trace.members["parameters"]
    trace.save(tmp_path / "mine.peakmem")
    again = peakmem.estimate(str(tmp_path / "mine.peakmem"))
    assert again.peak == report.peak
    assert trace.timeline().peak.bytes == report.peak.allocated_bytes
    assert trace.estimate(gpu="rtx-4090").fits is not None and trace.fits is None


@pytest.mark.parametrize("sizes", [{}, {"B": 3}, {"T": 200}, {"L": 12}, {"B": 5, "T": 77, "L": 4}])
def test_a_formula_is_a_direct_trace_at_all_sizes(decoder: Any, unfolded: None, sizes: dict[str, int]) -> None:
    model, data = make(**{**AT, **sizes})
    direct = peakmem.trace(model, data, optimizer="sgd")
    peak = max(each.peak for each in phases_of(direct.members, 2).values())
    assert decoder.at(**sizes).report.peak.tensor_bytes == peak
    assert decoder.at(**sizes).formula().bytes == peak
    assert decoder.at(**sizes).report.parameters.total == direct.members["parameters"]


def test_it_is_solved_and_swept(decoder: Any) -> None:
    solution = decoder.solve("B", gpu="rtx-4090")
    fitting, next_one = (decoder.at(B=solution.value + more).estimate(gpu="rtx-4090").fits for more in (0, 1))
    assert fitting and not next_one
    points = decoder.sweep("L", [4, 8]).points
    assert points[0].tensor_bytes < points[1].tensor_bytes


def test_sizes_that_it_was_not_seen_at_are_refused(decoder: Any) -> None:
    with pytest.raises(peakmem.InputError, match="B >= 2"):
        assert decoder.at(B=1).report


def test_layers_of_a_live_model_are_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    folded = peakmem.trace(Decoder(9), batch(), name="live")
    assert [each[1] for each in folded.members["turns"]] == [1, 1, "9 - 2", 1]
    monkeypatch.setattr(_family_file, "family_of", lambda program: "as a test wants it")
    unrolled = peakmem.trace(Decoder(9), batch(), name="live")
    assert unrolled.notes[-1] == "every layer is traced by itself: as a test wants it"
    assert folded.report.peak == unrolled.report.peak
    assert folded.report.phases == unrolled.report.phases
    assert folded.report.parameters == unrolled.report.parameters
    assert folded.ledger == unrolled.ledger


def test_an_answer_is_held_to_a_direct_trace(decoder: Any) -> None:
    assert decoder.at(B=3, L=9, verify=True).at().options["at"] == "B=3,L=9"
    with pytest.raises(peakmem.InputError, match="no function of sizes"):
        peakmem.trace(Decoder, batch()).at(verify=True)


def test_what_a_direct_trace_does_otherwise_is_refused() -> None:
    def kinds(B: int) -> tuple[Any, Any]:
        layers = 2 if B > 1000 else 1
        return torch.nn.Sequential(*(torch.nn.Linear(4, 4) for _ in range(layers))), torch.zeros(B, 4)

    found = peakmem.trace(kinds, at={"B": 16}, loss=lambda outputs, batch: outputs.sum(), optimizer="sgd")
    assert found.at(B=900, verify=True).report.peak.tensor_bytes < found.at(B=2000).report.peak.tensor_bytes
    for ask in (lambda: found.at(B=2000, verify=True), lambda: found.solve("B", gpu="rtx-4090")):
        with pytest.raises(peakmem.InputError, match="does otherwise than the formulas say"):
            ask()
    assert found.solve("B", gpu="rtx-4090", verify=False).value > 1000
