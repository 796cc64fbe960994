"""What docs/trace.md shows is what happens."""

from __future__ import annotations

import doctest
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def test_trace_md(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = doctest.testfile(str(ROOT / "docs" / "trace.md"), module_relative=False)
    assert result.attempted > 3 and result.failed == 0
    assert os.listdir(tmp_path) == ["encoder.peakmem"]
