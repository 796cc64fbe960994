"""A trace and what can be asked of it. The bytes come from the core, which reads it as the file it would be saved as."""

from __future__ import annotations

import functools
import os
import pathlib
from dataclasses import dataclass, field
from typing import Any

from .. import _answers
from .._answers import Report, Timeline
from .._ask import Option, Subject, option_name
from .._rows import Fits, LedgerRow
from ._file import as_text


@dataclass(frozen=True)
class Trace:
    """One training step as it was traced.

    Attributes:
        members: the members of the file that it would be saved as (docs/trace-format.md).
        notes: what was taken for granted.
        warnings: what may be otherwise than traced.
    """

    members: dict[str, Any] = field(repr=False)
    options: dict[str, Option] = field(default_factory=dict)

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
        named = {option_name(keyword): value for keyword, value in options.items()}
        return _answers.ask_report(self._subject.changed(named))

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

    def timeline(self) -> Timeline:
        """Memory over the steady step."""
        return self.report.timeline()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes it to a file, `mine.peakmem`, which every command takes as a model."""
        pathlib.Path(path).write_text(as_text(self.members), encoding="utf-8")

    def __str__(self) -> str:
        return str(self.report)
