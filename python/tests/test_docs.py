"""What docstrings and docs/ show is what happens."""

from __future__ import annotations

import doctest

import nbformat
import peakmem
from nbclient import NotebookClient
from records import ROOT


def test_docstrings() -> None:
    assert doctest.testmod(peakmem).attempted > 0
    assert doctest.testmod(peakmem).failed == 0


def test_python_md() -> None:
    result = doctest.testfile(str(ROOT / "docs" / "python.md"), module_relative=False)
    assert result.attempted > 10 and result.failed == 0


def test_the_notebook_runs() -> None:
    notebook = nbformat.read(ROOT / "docs" / "formula.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    shown = "".join(str(cell.get("outputs", "")) for cell in notebook.cells)
    assert "text/latex" in shown and "<svg" in shown
