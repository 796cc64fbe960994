"""Tests of peakmem.trace, which need torch (scripts/python.sh --tests installs its CPU build)."""

from __future__ import annotations

import importlib
import importlib.util
import sys

import pytest

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["test_*.py"]


@pytest.fixture
def unfolded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Live models are traced layer by layer, as levels.py reads them."""
    from peakmem.trace._file import as_json

    importlib.import_module("peakmem.trace._trace")
    monkeypatch.setattr(sys.modules["peakmem.trace._trace"], "program_json", as_json)
