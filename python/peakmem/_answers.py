"""Answers: what the core said, with the question it was asked, so that it can be asked more."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from . import _html, _text
from ._ask import Option, Subject, option_name
from ._build import build
from ._api import ask
from ._errors import InputError
from ._plot import plot
from ._rows import (
    Card,
    Crossing,
    Curve,
    CurvePeak,
    CurvePhase,
    Difference,
    Dimension,
    Failure,
    FirstStep,
    Fits,
    FormulaOf,
    FrontierPoint,
    Host,
    Knob,
    Launch,
    LedgerDifference,
    LedgerRow,
    LengthRow,
    ModuleRow,
    Nccl,
    OptimizerRow,
    OptionRow,
    Parameters,
    Peak,
    Phase,
    ShortFormula,
    Suggestion,
    Summary,
    SweepPoint,
    Symbol,
    Term,
    Textbook,
)

NOBODY = Subject(None, None, {})


@cache
def option_rows() -> tuple[OptionRow, ...]:
    """The table of options; it never changes."""
    return tuple(build(OptionRow, row) for row in json.loads(ask("options", {}))["options"])


@cache
def optimizer_rows() -> tuple[OptimizerRow, ...]:
    """The table of optimizers; it never changes."""
    return tuple(build(OptimizerRow, row) for row in json.loads(ask("optimizers", {}))["optimizers"])


def taken_by(command: str, subject: Subject) -> Subject:
    """The subject with the options that a command takes."""
    names = {row.name for row in option_rows() if command in row.commands}
    kept = {name: value for name, value in subject.options.items() if name in names}
    return replace(subject, options=kept)


def assumed(data: dict[str, Any], subject: Subject) -> dict[str, Any]:
    """An answer's members, with what was taken for granted of a live model."""
    return {**data, "assumptions": [*data["assumptions"], *subject.assumptions]}


@dataclass(frozen=True)
class Answer:
    """What all answers have: the JSON they came as."""

    _json: str = field(default="", repr=False, compare=False, kw_only=True)

    def to_json(self) -> str:
        """The answer as JSON, byte for byte what `peakmem --json` prints."""
        return self._json

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON has it."""
        return dict(json.loads(self._json))


@dataclass(frozen=True)
class Formula(Answer):
    """The peak of the steady step as a formula, in bytes of tensors.

    Attributes:
        peak: the peak, with its value at these sizes.
        terms: its terms, the largest first.
        parts: by what the bytes are for; they sum to the peak.
        phases: every phase of both steps at its own peak.
        rivals: moments that are the peak at other sizes.
        symbols: what the letters stand for.
        short: the peak without its smallest terms, where `simplify` was given.
    """

    model: str
    symbols: tuple[Symbol, ...]
    peak: FormulaOf
    terms: tuple[Term, ...]
    parts: tuple[FormulaOf, ...]
    phases: tuple[FormulaOf, ...]
    rivals: tuple[FormulaOf, ...]
    dimensions: tuple[Dimension, ...]
    crossings: tuple[Crossing, ...]
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]
    short: ShortFormula | None = None
    _subject: Subject = field(default=NOBODY, repr=False, compare=False, kw_only=True)

    @property
    def text(self) -> str:
        """The formula as text: short where `simplify` was given, else exact."""
        return (self.short or self.peak).formula

    @property
    def latex(self) -> str:
        """The same as LaTeX."""
        return (self.short or self.peak).latex

    @property
    def bytes(self) -> int:
        """The exact peak at these sizes, in bytes of tensors."""
        return self.peak.bytes

    def at(self, **sizes: int) -> Formula:
        """The formula at other sizes, named by option (`batch=4`) or by the formula's letters (`B=4`).

        The core traces anew, so that it is the peak there too, were it another moment.
        """
        letters = {symbol.letters: option_name(symbol.meaning.replace(" ", "_")) for symbol in self.symbols}
        options: dict[str, Option] = {letters.get(name, option_name(name)): size for name, size in sizes.items()}
        return ask_formula(self._subject.changed(options))

    def __call__(self, **sizes: int) -> int:
        """The peak at other sizes, in bytes of tensors: `formula(B=4, seq=2048)`."""
        return self.at(**sizes).bytes

    def __str__(self) -> str:
        return ask("formula", self._subject.request(), "text")

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex}$"


def ask_formula(subject: Subject) -> Formula:
    text = ask("formula", subject.request())
    data = json.loads(text)
    return replace(build(Formula, {**assumed(data, subject), **data["formula"]}), _json=text, _subject=subject)


@dataclass(frozen=True)
class Timeline(Answer):
    """Memory over the steady step.

    Attributes:
        events: allocations and releases of the step.
        points: the curve, of some thousand points however deep the model; the peak is among them.
    """

    model: str
    events: int
    peak: CurvePeak
    phases: tuple[CurvePhase, ...]
    points: Curve
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]
    _subject: Subject = field(default=NOBODY, repr=False, compare=False, kw_only=True)

    def svg(self) -> str:
        """The picture as SVG, without scripts."""
        return ask("timeline", self._subject.request(), "svg")

    def csv(self) -> str:
        """The points as `event,phase,bytes`."""
        return ask("timeline", self._subject.request(), "csv")

    def perfetto(self) -> str:
        """The points as a Chrome trace, for ui.perfetto.dev."""
        return ask("timeline", self._subject.request(), "perfetto")

    def __str__(self) -> str:
        return ask("timeline", self._subject.request(), "text")

    def _repr_svg_(self) -> str:
        return self.svg()


def ask_timeline(subject: Subject) -> Timeline:
    text = ask("timeline", subject.request())
    data = json.loads(text)
    return replace(build(Timeline, {**assumed(data, subject), **data["timeline"]}), _json=text, _subject=subject)


@dataclass(frozen=True)
class LaunchFile:
    """A job as another tool's launch file, and its peak in bytes.

    Attributes:
        format: whose it is ("trl").
        text: the file, or the command line where a tool has no file.
        start: the command that starts it; empty where `text` is that command.
        command: the same job as options alone.
        beside: options that the file cannot say ("--seq 1024").
        instead: what was not asked, and the tool has otherwise.
    """

    schema: str
    format: str
    text: str
    start: str
    command: str
    beside: tuple[str, ...]
    instead: tuple[str, ...]
    tensor_bytes: int
    reserved_bytes: int
    device_bytes: int

    def __str__(self) -> str:
        return self.text


def ask_file(tool: str, subject: Subject) -> LaunchFile:
    return build(LaunchFile, json.loads(ask("emit", {"tool": tool, **subject.request()})))


@dataclass(frozen=True)
class Report(Answer):
    """The answer to "how much memory will this training need, and why?".

    Attributes:
        parameters: how many there are, and how many are trained.
        peak: the highest level of the steady step.
        first_step: that of step 1.
        phases: of both steps, each with its levels in bytes of tensors.
        ledger: what lives at the peak; the rows sum to `peak.allocated_bytes`.
        modules: those that multiply, with what they compute in a step, the most first; none of a traced step.
        fits: the verdict, or None where no GPU was named.
        failure: the first allocation that the GPU cannot serve, or None.
        host: what the rank keeps on the host where ZeRO offloads, or None.
        lengths: batches by length where `lengths` were given, the shortest first; all else is about the longest.
        nccl: what NCCL's communicators take, or None where there is one rank.
        knobs: what would help, the best first.
        assumptions: what was taken for granted.
        not_understood: settings of TrainingArguments that were not used and may matter.
        launch: what became of the keys of launch files, or None where none were read.
    """

    schema: str
    model: str
    parameters: Parameters
    peak: Peak
    first_step: FirstStep
    phases: tuple[Phase, ...]
    categories: dict[str, int]
    ledger: tuple[LedgerRow, ...]
    fits: Fits | None
    failure: Failure | None
    knobs: tuple[Knob, ...]
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]
    not_understood: tuple[str, ...] = ()
    launch: Launch | None = None
    host: Host | None = None
    lengths: tuple[LengthRow, ...] = ()
    nccl: Nccl | None = None
    modules: tuple[ModuleRow, ...] = ()
    _subject: Subject = field(default=NOBODY, repr=False, compare=False, kw_only=True)

    def formula(self, **options: Option) -> Formula:
        """The same set-up as a formula; `simplify="5%"` drops its smallest terms, `letters="T=s"` names them."""
        named = {option_name(keyword): value for keyword, value in options.items()}
        return ask_formula(taken_by("formula", self._subject).changed(named))

    def timeline(self) -> Timeline:
        """Memory over the steady step of the same set-up."""
        return ask_timeline(taken_by("timeline", self._subject))

    def advise(self) -> Advice:
        """What would make the same set-up fit on its GPU."""
        return ask_advice(taken_by("advise", self._subject))

    def __str__(self) -> str:
        told = set(json.loads(self._json)["assumptions"]) if self._json else set()
        beside = [line for line in self.assumptions if line not in told]  # what the core was not told
        text = ask("estimate", self._subject.request(), "text").rstrip("\n")
        text += _text.section("Not understood, and not in these numbers", self.not_understood)
        return text + _text.section("Taken from the model and its arguments", beside)

    def _repr_html_(self) -> str:
        text = ask("estimate", self._subject.request(), "text")
        return _html.report(self, _text.first_lines(text), self.timeline().svg())


def ask_report(subject: Subject) -> Report:
    text = ask("estimate", subject.request())
    return replace(build(Report, assumed(json.loads(text), subject)), _json=text, _subject=subject)


@dataclass(frozen=True)
class Comparison(Answer):
    """Two set-ups and what differs.

    Attributes:
        a, b: the set-ups in short.
        difference: b - a, in bytes.
        ledger: the rows that differ, the largest difference first; they sum to `difference.allocated_bytes`.
    """

    a: Summary
    b: Summary
    difference: Difference
    ledger: tuple[LedgerDifference, ...]
    _request: tuple[Subject, Subject] = field(default=(NOBODY, NOBODY), repr=False, compare=False, kw_only=True)

    def __str__(self) -> str:
        return ask("compare", compare_request(*self._request), "text")

    def _repr_html_(self) -> str:
        return _html.comparison(self)


def compare_request(a: Subject, b: Subject) -> dict[str, Any]:
    return {"a": a.request(), "b": b.request()}


def ask_comparison(a: Report, b: Report) -> Comparison:
    for name, report in (("a", a), ("b", b)):
        if not isinstance(report, Report):
            raise InputError(name, f"is a {type(report).__name__}", "pass what peakmem.estimate returns")
    subjects = (a._subject, b._subject)
    text = ask("compare", compare_request(*subjects))
    return replace(build(Comparison, json.loads(text)["compare"]), _json=text, _request=subjects)


@dataclass(frozen=True)
class Cards(Answer):
    """A job on many GPUs, in their order; `for_` is what each has the largest of, empty where nothing is solved for."""

    model: str
    for_: str
    rows: tuple[Card, ...]
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]
    _subject: Subject = field(default=NOBODY, repr=False, compare=False, kw_only=True)
    _command: str = field(default="estimate", repr=False, compare=False, kw_only=True)

    def __str__(self) -> str:
        return ask(self._command, self._subject.request(), "text")


def ask_cards(command: str, subject: Subject) -> Cards:
    text = ask(command, subject.request())
    data = json.loads(text)
    members = {**assumed(data, subject), **data["cards"], "for_": data["cards"]["for"]}
    return replace(build(Cards, members), _json=text, _subject=subject, _command=command)


@dataclass(frozen=True)
class Frontier(Answer):
    """The largest of one size at values of another.

    Attributes:
        for_: the names of the two.
        points: in rising order of the first; each fits, and the next value of the second does not.
    """

    model: str
    for_: tuple[str, ...]
    gpu: str
    capacity_bytes: int
    points: tuple[FrontierPoint, ...]
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]
    _subject: Subject = field(default=NOBODY, repr=False, compare=False, kw_only=True)

    def svg(self) -> str:
        """The points as a picture."""
        return ask("solve", self._subject.request(), "svg")

    def csv(self) -> str:
        """The points as lines."""
        return ask("solve", self._subject.request(), "csv")

    def __str__(self) -> str:
        return ask("solve", self._subject.request(), "text")

    def _repr_svg_(self) -> str:
        return self.svg()


def ask_frontier(subject: Subject) -> Frontier:
    text = ask("solve", subject.request())
    data = json.loads(text)
    members = {**assumed(data, subject), **data["frontier"], "for_": data["frontier"]["for"]}
    return replace(build(Frontier, members), _json=text, _subject=subject)


@dataclass(frozen=True)
class Advice(Answer):
    """What would make a job fit on its GPU.

    Attributes:
        fits: the verdict as it was asked.
        device_bytes: what it takes then.
        suggestions: sets of changes with which it fits, the cheapest first.
        nearest: where nothing that was tried fits, the set that needs least.
        tried: how many sets were traced.
    """

    model: str
    fits: Fits
    device_bytes: int
    suggestions: tuple[Suggestion, ...]
    nearest: Suggestion | None
    tried: int
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]
    _subject: Subject = field(default=NOBODY, repr=False, compare=False, kw_only=True)

    def __str__(self) -> str:
        return ask("advise", self._subject.request(), "text")


def ask_advice(subject: Subject) -> Advice:
    text = ask("advise", subject.request())
    data = json.loads(text)
    return replace(build(Advice, {**assumed(data, subject), **data["advice"]}), _json=text, _subject=subject)


@dataclass(frozen=True)
class Sweep(Answer):
    """Memory against one option, or several in a grid.

    Attributes:
        over: the option that varies, or several with commas between.
        points: one for each value.
        first: the number of the first point, and `grid` how many there are, where `shard` asked for some of them.
        textbook: the formulas in circulation; every point has their bytes in this order.
    """

    model: str
    over: str
    points: tuple[SweepPoint, ...]
    textbook: tuple[Textbook, ...]
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]
    first: int = 0
    grid: int | None = None

    def rows(self) -> list[dict[str, Any]]:
        """Every point as a row: the options that vary, bytes, categories, the verdict, and why there is none."""
        return [_sweep_row(self.over, point) for point in self.points]

    def to_frame(self) -> Any:
        """The rows as a pandas DataFrame; pandas must be there."""
        try:
            pandas = importlib.import_module("pandas")
        except ImportError:
            raise InputError("to_frame", "needs pandas", "pip install pandas, or take .rows()") from None
        return pandas.DataFrame(self.rows())

    def plot(self, what: str = "device_bytes", ax: Any = None) -> Any:
        """Memory in GiB against the last option that varies, a line for each value of the others; matplotlib must be there.

        Args:
            what: a column of `rows()` in bytes: "device_bytes", "allocated_bytes", "activations_bytes", ...
            ax: the axes to draw on; new ones where it is None.

        Returns:
            the axes.
        """
        return plot(self, what, ax)


def _sweep_row(over: str, point: SweepPoint) -> dict[str, Any]:
    row: dict[str, Any] = dict(point.values) if point.values is not None else {over: point.value}
    for name in ("parameters", "tensor_bytes", "allocated_bytes", "first_step_bytes", "device_bytes", "phase"):
        row[name] = getattr(point, name)
    row.update({f"{name}_bytes": size for name, size in (point.categories or {}).items()})
    row["verdict"] = point.fits.verdict if point.fits else None
    row["capacity_bytes"] = point.fits.capacity_bytes if point.fits else None
    row["error"] = f"{point.error.field} {point.error.problem}" if point.error else None
    return row


def ask_sweep(subject: Subject) -> Sweep:
    text = ask("sweep", subject.request())
    data = json.loads(text)
    return replace(build(Sweep, {**assumed(data, subject), **data["sweep"]}), _json=text)
