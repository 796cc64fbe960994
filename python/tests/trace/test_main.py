"""python -m peakmem.trace"""

from __future__ import annotations

from pathlib import Path

import pytest

from peakmem.trace.__main__ import main


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no.py:make"], "no.py is no Python file"),
        (["{}:other"], "has no function other"),
        (["{}:make", "--at", "B"], "'B' are no sizes"),
        (["{}:make", "--at", "B=1"], "a model and its batch"),
    ],
)
def test_says_what_is_wrong(words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "train.py"
    file.write_text("def make(B):\n    return B\n")
    assert main([word.format(file) for word in words]) == 2
    assert said in capsys.readouterr().err
