"""A trace and what can be asked of it. The bytes come from the core, which reads it as the file it would be saved as."""

from __future__ import annotations

import functools
import json
import os
import pathlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from .. import _answers
from .._answers import Formula, Report, Sweep, Timeline
from .._ask import Option, Subject, option_name
from .._build import build
from .._api import ask
from .._errors import InputError
from .._rows import Fits, LedgerRow, Solution
from ._family import Family, Tracer, confirm
from ._file import as_text


T = TypeVar("T")


def _named(options: dict[str, Option]) -> dict[str, Option]:
    return {option_name(keyword): value for keyword, value in options.items()}


def _read_letters(at: Option) -> dict[str, str]:
    return dict(each.split("=") for each in str(at).split(",")) if at else {}


@dataclass(frozen=True)
class Trace:
    """One training step as it was traced.

    Attributes:
        members: the members of the file that it would be saved as (docs/trace-format.md).
        notes: what was taken for granted.
        warnings: what may be otherwise than traced.
        family, direct: of a function of sizes, its formulas, and what traces it at other sizes.
    """

    members: dict[str, Any] = field(repr=False)
    options: dict[str, Option] = field(default_factory=dict)
    family: Family | None = field(default=None, repr=False, compare=False)
    direct: Tracer | None = field(default=None, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "direct": None}  # the user's function stays where it is

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self.members.get("notes", ()))

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self.members.get("warnings", ()))

    @property
    def _subject(self) -> Subject:
        return Subject(self.members, self.members.get("model"), self.options)

    def estimate(self, **options: Option) -> Report:
        """The report with other options, such as `gpu="a100-80gb"`."""
        return _answers.ask_report(self._subject.changed(_named(options)))

    @functools.cached_property
    def report(self) -> Report:
        """The answer to "how much memory will this training need, and why?"."""
        return self.estimate()

    @property
    def ledger(self) -> tuple[LedgerRow, ...]:
        """What lives at the peak."""
        return self.report.ledger

    @property
    def fits(self) -> Fits | None:
        """The verdict, or None where no GPU was named."""
        return self.report.fits

    def at(self, *, verify: bool = False, **sizes: int) -> Trace:
        """The same with other values of its letters: `t.at(B=4, T=2048)`; with `verify` a direct trace there must agree."""
        letters = {**_read_letters(self.options.get("at")), **{name: str(value) for name, value in sizes.items()}}
        text = ",".join(f"{a}={b}" for a, b in letters.items())
        found = replace(self, options={**self.options, "at": text}) if sizes else self
        if verify:
            found.confirm()
        return found

    def confirm(self) -> None:
        """Traces it directly at its letters' values.

        Raises:
            InputError: where that does otherwise than the formulas say, or there is no function of sizes to trace.
        """
        if self.family is None or self.direct is None:
            raise InputError("verify", "there is no function of sizes to trace again", "trace one with at=")
        asked = {name: int(value) for name, value in _read_letters(self.options.get("at")).items()}
        confirm(self.family, self.direct, {**self.family.at, **asked})

    def formula(self, **options: Option) -> Formula:
        """The peak as a formula of its letters; of a trace without letters, its number."""
        return self._answers("formula", options, _answers.ask_formula)

    def solve(self, for_: str, *, verify: bool = True, **options: Option) -> Solution:
        """The largest value of a letter that fits on `gpu`; with `verify` a direct trace there must agree."""
        subject = _answers.taken_by("solve", self._subject.changed(_named({**options, "for": for_})))
        data = json.loads(ask("solve", subject.request()))["solve"]
        found = build(Solution, {**data, "for_": data["for"]})
        if verify and self.direct and found.value and for_ in {each["name"] for each in self.members["letters"]}:
            self.at(verify=True, **{for_: found.value})
        return found

    def sweep(self, over: str, values: list[int] | range, **options: Option) -> Sweep:
        """Memory with a letter at many values."""
        return self._answers("sweep", {**options, "over": over, "values": list(values)}, _answers.ask_sweep)

    def _answers(self, command: str, options: dict[str, Option], ask_it: Callable[[Subject], T]) -> T:
        return ask_it(_answers.taken_by(command, self._subject.changed(_named(options))))

    def timeline(self) -> Timeline:
        """Memory over the steady step."""
        return self.report.timeline()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes it to a file, `mine.peakmem`, which every command takes as a model."""
        pathlib.Path(path).write_text(as_text(self.members), encoding="utf-8")

    def __str__(self) -> str:
        return str(self.report)
