"""What the package answers, and that it is typed as the JSON is."""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
import json
import pickle
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import peakmem
import pytest
from peakmem import InputError
from peakmem._rows import ParameterRow
from records import ROOT
from stand_ins import Config


def members_are_fields(data: Any, answer: Any, path: str = "") -> None:
    """Every member of the JSON is an attribute, with the same value."""
    if isinstance(data, dict) and dataclasses.is_dataclass(answer):
        for name, value in data.items():
            assert hasattr(answer, name), f"{path}.{name}"
            members_are_fields(value, getattr(answer, name), f"{path}.{name}")
    elif isinstance(data, list):
        assert isinstance(answer, tuple), path
        for each, part in zip(data, answer, strict=True):
            members_are_fields(each, part, path + "[]")
    else:
        assert data == answer, path


def test_the_command_comes_with_the_package() -> None:
    command = Path(sysconfig.get_path("scripts")) / "peakmem"
    said = subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout
    assert said == f"peakmem {peakmem.__version__}\n"
    with pytest.raises(AttributeError, match="'no_such'"):
        _ = peakmem.no_such


def test_a_report_is_its_json() -> None:
    report = peakmem.estimate("gpt2", batch=4, seq=512, gpu="rtx-4090", clip_grad=True)
    members_are_fields(report.to_dict(), report)
    assert report.to_json().endswith("}\n")
    assert sum(row.bytes for row in report.ledger) == report.peak.allocated_bytes
    assert report.fits and report.fits.verdict == "fits"
    assert isinstance(report.ledger[0], type(report.ledger[1]))
    assert report.phases[1].micro == 0 and report.phases[0].micro is None


def test_every_answer_is_its_json() -> None:
    formula = peakmem.formula("gpt2", simplify="5%")
    members_are_fields(formula.to_dict()["formula"], formula)
    timeline = peakmem.timeline("gpt2")
    members_are_fields(timeline.to_dict()["timeline"], timeline)
    sweep = peakmem.sweep("gpt2", over="lora_rank", values=[8, 16], lora_targets=["c_attn"], gpu="t4")
    members_are_fields(sweep.to_dict()["sweep"], sweep)
    comparison = peakmem.compare(peakmem.estimate("gpt2"), peakmem.estimate("gpt2", precision="bf16"))
    members_are_fields(comparison.to_dict()["compare"], comparison)


def test_tables_are_whole() -> None:
    for rows in (peakmem.models(), peakmem.gpus(), peakmem.optimizers(), peakmem.families(), peakmem.options()):
        assert len(rows) > 5
        assert all(dataclasses.is_dataclass(row) for row in rows)
    assert peakmem.config("llama-3.1-8b", layers=3).layers == 3
    assert peakmem.parameters("gpt2", layers=2)[1] == ParameterRow("transformer.wpe.weight", (1024, 768), "float32", True)
    assert "kv-heads" in peakmem.config("llama-3.1-8b").changed_by
    assert all(row.source for row in peakmem.textbook("gpt2"))


def test_models_of_every_kind_are_the_same(tmp_path: Path) -> None:
    config = json.loads((ROOT / "data/models/llama-3.2-1b.json").read_text())["config"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    by_name = peakmem.estimate("llama-3.2-1b", seq=128)
    for model in (config, tmp_path, str(tmp_path), tmp_path / "config.json", Config(config)):
        assert peakmem.estimate(model, seq=128).ledger == by_name.ledger
    assert peakmem.estimate(tmp_path).model == tmp_path.name
    assert peakmem.estimate(layers=2, heads=2, hidden=64).parameters.total > 0


def test_a_trace_is_a_model() -> None:
    path = ROOT / "tests/request/traces/layers.peakmem"
    members = json.loads(path.read_text())
    for model in (path, str(path), members):
        report = peakmem.estimate(model)
        assert report.peak.tensor_bytes == members["x-peak"]
        assert peakmem.estimate(model, at="L=10").peak.tensor_bytes == 10 * 260 + 8
        assert peakmem.estimate(model, layers=10).ledger == peakmem.estimate(model, at="L=10").ledger
        assert peakmem.formula(model).peak.bytes == members["x-peak"]
    with pytest.raises(InputError) as caught:
        peakmem.estimate(path, precision="bf16")
    assert caught.value.field == "precision"


def test_errors_say_where_what_and_how() -> None:
    with pytest.raises(InputError) as caught:
        peakmem.estimate("gpt2", precision="bf61")
    assert caught.value.field == "precision"
    assert "bf61" in caught.value.problem
    assert "bf16" in caught.value.hint
    assert isinstance(caught.value, ValueError)
    assert pickle.loads(pickle.dumps(caught.value)).hint == caught.value.hint


@pytest.mark.parametrize(
    ("model", "options", "field"),
    [
        ("gpt2-xxl", {}, "MODEL"),
        (None, {}, "MODEL"),
        (3, {}, "model"),
        ("-", {}, "model"),
        (b"gpt2", {}, "model"),
        ("gpt2", {"bacth": 3}, "bacth"),
        ("gpt2", {"batch": 0}, "batch"),
        ("gpt2", {"batch": {}}, "batch"),
        ("gpt2", {"svg": "a.svg"}, "svg"),
        ("gpt2", {"lora_dropout": float("nan")}, "request"),
        ({"model_type": "gpt2", "n_layer": "twelve"}, {}, "n_layer"),
        ({"model_type": "gpt2", "n_layer": float("inf")}, {}, "request"),
    ],
)
def test_bad_input_is_an_error(model: Any, options: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as caught:
        peakmem.estimate(model, **options)
    assert caught.value.field == field


def test_a_formula_is_evaluated_at_other_sizes_by_the_core() -> None:
    report = peakmem.estimate("gpt2", batch=4, gpu="t4", reserved="bounds")
    formula = report.formula()
    assert formula.bytes == report.peak.tensor_bytes
    assert formula(B=8, T=512) == peakmem.estimate("gpt2", batch=8, seq=512).peak.tensor_bytes
    assert formula.at(batch=8).bytes == formula(B=8) > formula.bytes
    assert report.formula(letters="T=s").text != formula.text
    assert formula._repr_latex_().startswith("$")
    short = report.formula(simplify="5%")
    assert short.short is not None and len(short.text) < len(formula.text)


def test_solve_finds_the_largest_that_fits() -> None:
    solution = peakmem.solve("gpt2-xl", gpu="a100-80gb")
    assert (solution.for_, solution.value) == ("batch", 5)
    assert solution.peak_bytes <= solution.capacity_bytes < solution.next_peak_bytes
    swept = peakmem.sweep("gpt2-xl", over="batch", values=range(5, 7), gpu="a100-80gb")
    assert [bool(point.fits) for point in swept.points] == [True, False]
    assert [point.device_bytes for point in swept.points] == [solution.peak_bytes, solution.next_peak_bytes]


def test_solve_finds_other_sizes_and_the_fewest_cards() -> None:
    layers = peakmem.solve("gpt2", for_="layers", gpu="t4", seq=256)
    assert layers.for_ == "layers" and layers.next == layers.value + 1 and layers.failure is not None
    cards = peakmem.solve("llama-3.2-3b", for_="gpus", gpu="rtx-4090", batch=1, seq=512)
    assert cards.smallest and 1 < cards.value < 8 and cards.next == cards.value - 1


def test_cards_side_by_side_and_every_card() -> None:
    some = peakmem.cards("gpt2", ["t4", "l4", "24GiB"], seq=512)
    assert [row.gpu for row in some.rows] == ["t4", "l4", "24GiB"] and all(some.rows)
    every = peakmem.cards("gpt2", layers=1, seq=32, batch=1)
    assert len(every.rows) == len(peakmem.gpus()) and every.for_ == "batch"
    assert all(row.value for row in every.rows if row)
    assert "largest batch" in str(every)


def test_a_frontier_is_a_table_and_a_picture() -> None:
    frontier = peakmem.frontier("gpt2", gpu="t4", layers=2)
    assert frontier.for_ == ("batch", "seq") and frontier.points[0].first == 1
    assert frontier.csv().splitlines()[0] == "batch,seq,peak_bytes" and frontier.svg().startswith("<svg")


def test_advice_is_what_would_make_it_fit() -> None:
    report = peakmem.estimate("gpt2", batch=8, gpu="6GiB", seq=512)
    assert not report.fits
    advice = report.advise()
    assert advice.suggestions and advice.nearest is None
    first = advice.suggestions[0]
    assert first.changes and first.margin_bytes >= 0 and first.command.startswith("peakmem gpt2 ")
    assert peakmem.advise("gpt2", batch=8, gpu="6GiB", seq=512).suggestions == advice.suggestions
    with pytest.raises(InputError):
        peakmem.advise("gpt2")


def test_a_sweeps_points_that_are_no_jobs_say_why() -> None:
    first, second = peakmem.sweep("gpt2", over="heads", values=[7, 8]).points
    assert first.error is not None and first.error.field == "n_head" and first.tensor_bytes is None
    assert second.error is None and second.categories is not None and second.textbook_bytes is not None


def test_a_sweep_is_over_any_option_and_over_several() -> None:
    grid = peakmem.sweep("gpt2", over=["batch", "gpu"], values=[[1, 2], ["t4", "l4"]], seq=64)
    assert [point.values for point in grid.points][1] == {"batch": 1, "gpu": "l4"}
    rows = grid.rows()
    assert len(rows) == 4 and rows[3]["batch"] == 2 and rows[3]["gpu"] == "l4" and rows[3]["verdict"] == "fits"
    powers = peakmem.sweep("gpt2", over="batch", values="2^0..2^2", seq=64)
    assert [point.value for point in powers.points] == [1, 2, 4]
    if importlib.util.find_spec("pandas") is None:
        with pytest.raises(InputError):
            grid.to_frame()
    else:
        assert list(grid.to_frame()["batch"]) == [1, 1, 2, 2]


def test_a_sweep_is_drawn() -> None:
    grid = peakmem.sweep("gpt2", over=["gpu", "batch"], values=[["t4", "l4"], [1, 2, 4]], seq=64)
    if importlib.util.find_spec("matplotlib") is None:
        with pytest.raises(InputError, match="matplotlib"):
            grid.plot()
        return
    import matplotlib

    matplotlib.use("Agg")
    ax = grid.plot("allocated_bytes")
    lines = [line for line in ax.get_lines() if len(line.get_xdata()) == 3]
    assert [line.get_label() for line in lines] == ["gpu t4", "gpu l4"]
    allocated = grid.points[1].allocated_bytes
    assert allocated is not None
    assert list(lines[0].get_ydata())[1] == pytest.approx(allocated / 2**30)
    with pytest.raises(InputError, match="no column"):
        grid.plot("colour")


def test_a_report_has_what_modules_compute() -> None:
    report = peakmem.estimate("gpt2", batch=2, seq=512)
    time = peakmem.step_time("gpt2", batch=2, seq=512, gpu="a100-80gb")
    assert sum(module.flops for module in report.modules) == time.flops
    head = next(module for module in report.modules if module.name == "lm_head")
    assert head.forward_flops == 2 * 2 * 512 * 768 * 50257 and head.backward_flops == 2 * head.forward_flops


def test_a_comparison_sums_to_the_difference() -> None:
    comparison = peakmem.compare(peakmem.estimate("gpt2"), peakmem.estimate("gpt2", checkpointing="full"))
    assert sum(row.difference_bytes for row in comparison.ledger) == comparison.difference.allocated_bytes < 0
    with pytest.raises(InputError):
        peakmem.compare("gpt2", "gpt2")  # type: ignore[arg-type]


def test_notebooks_see_tables_and_pictures_without_scripts() -> None:
    report = peakmem.estimate({"model_type": "gpt2", "_name_or_path": "<script>"}, seq=64, gpu="t4")
    html = report._repr_html_()
    assert "<svg" in html and "<table>" in html and "exp_avg_sq" in html
    assert "<script" not in html
    for shown in ("batch 8 × seq 64 · fp32", "t4: fits", "to spare", "Taken for granted", "What would help"):
        assert shown in html
    failing = peakmem.estimate("gpt2-xl", batch=32, gpu="t4")
    assert failing.failure is not None and failing.failure.module in failing._repr_html_()
    assert "too much" in failing._repr_html_()
    assert "<table>" in peakmem.compare(report, report)._repr_html_()
    assert peakmem.timeline("gpt2").svg().startswith("<svg")
    assert peakmem.timeline("gpt2").csv().startswith("event,")
    assert "peak" in str(peakmem.timeline("gpt2"))


def test_answers_are_values(capfd: pytest.CaptureFixture[str]) -> None:
    report = peakmem.estimate("gpt2")
    assert report == peakmem.estimate("gpt2") and report == copy.deepcopy(report)
    assert pickle.loads(pickle.dumps(report)) == report
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.model = "other"  # type: ignore[misc]
    assert str(report).startswith("gpt2 · 124,439,808 parameters")
    assert capfd.readouterr() == ("", "")


def test_neither_torch_nor_transformers_is_imported() -> None:
    import subprocess

    code = "import sys, peakmem; print([name for name in ('torch', 'transformers', 'numpy') if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
