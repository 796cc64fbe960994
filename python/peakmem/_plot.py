"""Sweeps as pictures, where matplotlib is there."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._errors import InputError

if TYPE_CHECKING:
    from ._answers import Sweep

GIB = 1 << 30


def _new_axes() -> Any:
    try:
        pyplot = importlib.import_module("matplotlib.pyplot")
    except ImportError:
        raise InputError("plot", "needs matplotlib", "pip install matplotlib, or take .rows()") from None
    return pyplot.subplots()[1]


def _lines(rows: list[dict[str, Any]], axes: list[str], what: str) -> dict[str, list[tuple[Any, float]]]:
    """Points by the values of all options but the last."""
    lines: dict[str, list[tuple[Any, float]]] = {}
    for row in rows:
        if row[what] is None:
            continue  # no job
        name = ", ".join(f"{axis} {row[axis]}" for axis in axes[:-1])
        value = row[axes[-1]]
        lines.setdefault(name, []).append((value if isinstance(value, int) else str(value), row[what] / GIB))
    return lines


def plot(sweep: Sweep, what: str, ax: Any) -> Any:
    """What `Sweep.plot` says."""
    rows = sweep.rows()
    axes = sweep.over.split(",")
    known = [name for name in rows[0] if name.endswith("_bytes")]
    if what not in known:
        raise InputError("what", f'"{what}" is no column in bytes', f"known: {', '.join(known)}")
    ax = _new_axes() if ax is None else ax
    for name, points in _lines(rows, axes, what).items():
        ax.plot(*zip(*points), marker="o", markersize=3, label=name or None)
    for capacity in sorted({row["capacity_bytes"] for row in rows} - {None}):
        ax.axhline(capacity / GIB, color="grey", linestyle="--", linewidth=1)
    ax.set_xlabel(axes[-1])
    ax.set_ylabel(f"{what.removesuffix('_bytes')} (GiB)")
    ax.set_title(sweep.model)
    if len(axes) > 1:
        ax.legend()
    return ax
