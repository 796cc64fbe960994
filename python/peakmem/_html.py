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


def listed(title: str, lines: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<p><strong>{escape(title)}</strong></p><ul>{items}</ul>" if items else ""


def verdict(answer: Report) -> str:
    """Whether it fits, and by how much."""
    if answer.fits is None:
        return ""
    device, capacity = answer.peak.device_bytes, answer.fits.capacity_bytes
    spare = f"{units(abs(capacity - device))} {'to spare' if device <= capacity else 'too much'}"
    head = f"{answer.fits.gpu}: {answer.fits.verdict}"
    told = f"about {units(device)} on the device of {units(capacity)}, {spare}"
    return f"<p><strong>{escape(head)}</strong> · {escape(told)}</p>"


def failure(answer: Report) -> str:
    """The allocation that cannot be served."""
    failed = answer.failure
    if failed is None:
        return ""
    place = f"the {failed.phase} of step {failed.step}: {failed.module}, {failed.op}"
    told = f"{place} asks for {units(failed.tried_bytes)} where {units(failed.free_bytes)} are free"
    return listed("Where it fails", [told])


def report(answer: Report, setup: Iterable[str], picture: str) -> str:
    """What was asked, the peak, the verdict, what to beware of, the timeline, the ledger, what was taken for granted."""
    peak = answer.peak
    head = f"{answer.model}: {units(peak.allocated_bytes)} at the peak, in the {peak.phase} of step {peak.step}"
    asked = "<br>".join(escape(line) for line in setup)
    ledger = sorted(answer.ledger, key=lambda each: -each.bytes)
    rows = [(f"{each.category}: {each.name}", units(each.bytes), each.formula, each.why) for each in ledger]
    parts = [
        f"<p><strong>{escape(head)}</strong><br>{asked}</p>",
        verdict(answer),
        failure(answer),
        listed("Not understood, and not in these numbers", answer.not_understood),
        listed("Beware", answer.warnings),
        picture,
        table("What lives then", ("", "bytes", "formula", "why"), rows[:30]),
        f"<p>and {len(rows) - 30} rows more</p>" if len(rows) > 30 else "",
        listed("What would help", (f"{each.change}, saves {units(each.saves_bytes)}" for each in answer.knobs)),
        listed("Taken for granted", answer.assumptions),
    ]
    return "".join(parts)


def comparison(answer: Comparison) -> str:
    """The peaks and the rows that differ most."""
    peaks = [("peak, allocated", answer.a.peak.allocated_bytes, answer.b.peak.allocated_bytes)]
    rows = peaks + [(f"{each.category}: {each.name}", each.a_bytes, each.b_bytes) for each in answer.ledger[:30]]
    cells = [(name, units(a), units(b), units(b - a)) for name, a, b in rows]
    return table("What differs", ("", answer.a.model, answer.b.model, "difference"), cells)
