"""Peakmem predicts the memory of training a Transformer, to the byte, and says why.

    >>> import peakmem
    >>> report = peakmem.estimate("gpt2", batch=4, seq=512, precision="bf16")
    >>> report.peak.phase
    'backward'

Options are those of the command line, with `_` for `-`: `peakmem.options()` lists them with their help. All sizes are
in bytes. Nothing is run and no GPU is needed; neither torch nor transformers is imported, but for `peakmem.trace`, which
traces any torch module.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from . import _answers
from ._answers import Advice, Cards, Comparison, Formula, Frontier, LaunchFile, Report, Sweep, Timeline
from ._ask import Model, Option, subject
from ._build import build
from ._api import ask
from ._errors import InputError
from ._grid import Grid, axes_of
from ._plans import PlanReason, Plans, StepTime, ask_plans, ask_time
from ._rows import FamilyRow, GpuRow, ModelConfig, ModelRow, OptimizerRow, OptionRow, ParameterRow, Solution, Textbook
from ._training_args import from_training_args
from .trace import trace, tracing

__all__ = [
    "Advice",
    "Cards",
    "Comparison",
    "Formula",
    "Frontier",
    "InputError",
    "LaunchFile",
    "ModelConfig",
    "PlanReason",
    "Plans",
    "Report",
    "Solution",
    "StepTime",
    "Sweep",
    "Textbook",
    "Timeline",
    "advise",
    "cards",
    "compare",
    "config",
    "emit",
    "estimate",
    "families",
    "formula",
    "frontier",
    "from_file",
    "from_training_args",
    "gpus",
    "models",
    "optimizers",
    "options",
    "parameters",
    "plan",
    "solve",
    "step_time",
    "sweep",
    "textbook",
    "timeline",
    "trace",
    "tracing",
]

T = TypeVar("T")


def __getattr__(name: str) -> str:
    """`peakmem.__version__`, read where it is asked for: looking it up takes longer than to import the rest."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version

    return version("peakmem")


def estimate(model: Model | None = None, **options: Option) -> Report:
    """The peak of one training step in bytes, with its ledger.

    Args:
        model: the name of a model that comes with Peakmem, the path of a config.json or of its folder, a config as a
            dict, or a live `transformers` config or model, also one with LoRA by PEFT (whose dtype, attention and
            adapters are then the model's); None where `layers`, `heads` and `hidden` describe it.
        options: those of the command line, such as `batch=4, precision="bf16", gpu="rtx-4090"`.

    Raises:
        InputError: where the question cannot be answered.
    """
    return _answers.ask_report(subject(model, options))


def from_file(*files: str | os.PathLike[str], model: Model | None = None, **options: Option) -> Report:
    """The estimate of a run by its launch files, as `peakmem FILE [FILE…]` reads them; nothing is run.

    Args:
        files: paths of launch files that belong together (TrainingArguments, TRL, accelerate, axolotl, …), or the
            command line that starts the run.
        model: as in `estimate`, where the files name none.
        options: what the files do not say, such as `seq` and `gpu`; they also replace what is read. `from_="trl"` says
            whose the first file is.

    Returns:
        The report; its `launch` says what became of every key.

    Raises:
        InputError: for what is not modelled, and for what neither files nor options say.
    """
    asked = subject(model, options)
    return _answers.ask_report(replace(asked, files=tuple(os.fspath(file) for file in files)))


def emit(format: str, model: Model, **options: Option) -> LaunchFile:
    """The job as a launch file of another tool: "hf", "trl", "axolotl", "llamafactory", "swift", "accelerate", "deepspeed".

    The file is read again before it is given; `str()` of the answer is its text.

    Raises:
        InputError: for what the tool would read otherwise, by its option.
    """
    return _answers.ask_file(format, subject(model, options))


def formula(model: Model | None = None, **options: Option) -> Formula:
    """The same trace as a formula of the peak, in bytes of tensors; sizes may be symbols: `layers="l"`."""
    return _answers.ask_formula(subject(model, options))


def textbook(model: Model | None = None, **options: Option) -> tuple[Textbook, ...]:
    """The formulas in circulation on the same sizes, each with its source and what the trace gives instead."""
    return _rows("textbook", Textbook, subject(model, options).request())


def solve(model: Model | None = None, for_: str = "batch", **options: Option) -> Solution:
    """The largest batch, sequence (`for_="seq"`), `hidden`, `layers`, `lora_rank`, … that fits on `gpu`.

    Of `accumulate`, `fsdp` and `gpus` it is the smallest.
    """
    asked = subject(model, {**options, "for": for_.replace("_", "-")})
    data = json.loads(ask("solve", asked.request()))["solve"]
    return build(Solution, {**data, "for_": data["for"]})


def cards(model: Model | None = None, gpu: list[str] | None = None, **options: Option) -> Cards:
    """A job on many GPUs: on those named whether it fits; on every one that is known, the largest batch too."""
    if gpu is not None and len(gpu) > 1:
        return _answers.ask_cards("estimate", subject(model, {**options, "gpu": ",".join(gpu)}))
    return _answers.ask_cards("solve", subject(model, {**options, "for": "gpu", "gpu": gpu}))


def frontier(model: Model | None = None, for_: tuple[str, str] = ("batch", "seq"), **options: Option) -> Frontier:
    """What fits with what on `gpu`: the largest of the second at powers of two of the first."""
    names = ",".join(name.replace("_", "-") for name in for_)
    return _answers.ask_frontier(subject(model, {**options, "for": names}))


def advise(model: Model | None = None, **options: Option) -> Advice:
    """What would make a job fit on `gpu`: the smallest sets of changes, ordered by what they cost."""
    return _answers.ask_advice(subject(model, options))


def plan(model: Model | None = None, *, gpus: str, global_batch: int, **options: Option) -> Plans:
    """Every way to train a model on a number of cards, ranked by the time of a step.

    Args:
        model: as in `estimate`.
        gpus: the cards, a rank on each: `"8xh100-80gb"`.
        global_batch: sequences in a step, of all ranks and micro-batches.
        options: those of the run, which hold what they say; `allow="lora"` lets plans change what costs quality, `top`
            is how many are listed.
    """
    return ask_plans(subject(model, {**options, "gpus": gpus, "global_batch": global_batch}))


def step_time(model: Model | None = None, **options: Option) -> StepTime:
    """Floating-point operations of a step on `gpu`, by module, and about how long it takes: a range, and its reasons."""
    return ask_time(subject(model, options))


def compare(a: Report, b: Report) -> Comparison:
    """What differs between two reports, row by row of their ledgers."""
    return _answers.ask_comparison(a, b)


def sweep(
    model: Model | None = None,
    *,
    over: str | Sequence[str] | None = None,
    values: str | Sequence[Any] | range | None = None,
    grid: Grid | None = None,
    **options: Option,
) -> Sweep:
    """Memory with one option (`over="batch"`) at many values, or with several in a grid.

    Args:
        model: as in `estimate`.
        over: the option that varies, or a list of them.
        values: its values, or a list of lists of them; also the texts that the command line takes: "2^0..2^6", "all".
        grid: in place of both a dict of options and their values, `{"batch": "1..64", "gpu": ["t4", "l4"]}`, or a JSON
            file of it.
        options: the others.
    """
    names, text = axes_of(over, values, grid)
    varied = {"over": ",".join(names), "values": text}
    return _answers.ask_sweep(subject(model, {**options, **varied}))


def timeline(model: Model | None = None, **options: Option) -> Timeline:
    """Memory over the steady step: bytes allocated after each allocation and release."""
    return _answers.ask_timeline(subject(model, options))


def config(model: Model | None = None, **options: Option) -> ModelConfig:
    """What is understood of a model's config, its defaults filled in."""
    return build(ModelConfig, json.loads(ask("config", subject(model, options).request()))["config"])


def parameters(model: Model | None = None, **options: Option) -> tuple[ParameterRow, ...]:
    """A model's parameters as it is traced: by name, shape and dtype."""
    return _rows("parameters", ParameterRow, subject(model, options).request())


def _rows(command: str, row: type[T], request: dict[str, Any]) -> tuple[T, ...]:
    return tuple(build(row, each) for each in json.loads(ask(command, request))[command])


def models() -> tuple[ModelRow, ...]:
    """The models that come with Peakmem."""
    return _rows("models", ModelRow, {})


def gpus() -> tuple[GpuRow, ...]:
    """The GPUs that are known."""
    return _rows("gpus", GpuRow, {})


def optimizers() -> tuple[OptimizerRow, ...]:
    """The optimizers that are known."""
    return _answers.optimizer_rows()


def families() -> tuple[FamilyRow, ...]:
    """The architectures that are known."""
    return _rows("families", FamilyRow, {})


def options() -> tuple[OptionRow, ...]:
    """The options that are known, with their help."""
    return _answers.option_rows()
