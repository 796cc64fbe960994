"""Answers as HTML for notebooks: tables and pictures, no scripts."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._answers import Comparison, Report


def units(bytes_: int) -> str:
    """`1.50 GiB`."""
    size = float(abs(bytes_))
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    sign = "-" if bytes_ < 0 else ""
    return f"{sign}{size:.0f} {unit}" if unit == "B" else f"{sign}{size:.2f} {unit}"


def row(cells: Iterable[str], tag: str = "td") -> str:
    first, *rest = (escape(cell) for cell in cells)
    numbers = "".join(f'<{tag} style="text-align:right">{cell}</{tag}>' for cell in rest)
    return f'<tr><{tag} style="text-align:left">{first}</{tag}>{numbers}</tr>'


def table(title: str, heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    body = "".join(row(cells) for cells in rows)
    return f"<table><caption>{escape(title)}</caption><thead>{row(heads, 'th')}</thead><tbody>{body}</tbody></table>"


def report(answer: Report, picture: str) -> str:
    """The peak, the ledger and the timeline."""
    peak = answer.peak
    verdict = f" · {answer.fits.gpu}: {answer.fits.verdict}" if answer.fits else ""
    where = f"in the {peak.phase} of step {peak.step}"
    head = f"{answer.model}: {units(peak.allocated_bytes)} at the peak, {where}{verdict}"
    ledger = sorted(answer.ledger, key=lambda each: -each.bytes)
    rows = [(f"{each.category}: {each.name}", units(each.bytes), each.formula, each.why) for each in ledger]
    shown = table("What lives then", ("", "bytes", "formula", "why"), rows[:30])
    more = f"<p>and {len(rows) - 30} rows more</p>" if len(rows) > 30 else ""
    return f"<p><strong>{escape(head)}</strong></p>{picture}{shown}{more}"


def comparison(answer: Comparison) -> str:
    """The peaks and the rows that differ most."""
    peaks = [("peak, allocated", answer.a.peak.allocated_bytes, answer.b.peak.allocated_bytes)]
    rows = peaks + [(f"{each.category}: {each.name}", each.a_bytes, each.b_bytes) for each in answer.ledger[:30]]
    cells = [(name, units(a), units(b), units(b - a)) for name, a, b in rows]
    return table("What differs", ("", answer.a.model, answer.b.model, "difference"), cells)
