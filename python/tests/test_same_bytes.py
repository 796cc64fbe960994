"""The same request gives the same bytes in the command line, in Python and in the page's module."""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import peakmem
import pytest
from records import ROOT, as_arguments, options_of, records

PROGRAM = Path(os.environ.get("PEAKMEM_PROGRAM", ROOT / "build" / "peakmem"))
MODULE = Path(os.environ.get("PEAKMEM_WASM", ROOT / "build-wasm" / "peakmem.wasm"))

needs_program = pytest.mark.skipif(not PROGRAM.exists(), reason=f"{PROGRAM} is not built")
needs_module = pytest.mark.skipif(not MODULE.exists(), reason=f"{MODULE} is not built")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Path, dict[str, Any], dict[str, Any]]]:
    """Every record that options can ask for: its place, its config as a file, its options, the record."""
    folder = tmp_path_factory.mktemp("configs")
    known = {row.name for row in peakmem.options()}
    rows = []
    for place, record in records():
        options = options_of(record["case"], known)
        if options is None:
            continue
        path = folder / f"{place.replace(':', '-')}.json"
        path.write_text(json.dumps(record["case"]["config"]))
        rows.append((place, path, options, record))
    return rows


def in_python(path: Path, options: dict[str, Any]) -> str:
    keywords = {name.replace("-", "_"): value for name, value in options.items()}
    return peakmem.estimate(path, **keywords).to_json()


def test_nearly_every_record_can_be_asked_for(asked: list[Any]) -> None:
    assert len(asked) > 0.95 * sum(1 for _ in records())


def test_python_gives_the_recorded_bytes(asked: list[Any]) -> None:
    wrong = []
    for place, path, options, record in asked:
        peak = json.loads(in_python(path, options))["peak"]["tensor_bytes"]
        if peak != record["peak"]["bytes"]:
            wrong.append(f"{place}: {peak} where {record['peak']['bytes']} was measured")
    assert not wrong


@needs_program
def test_the_command_line_gives_the_same(asked: list[Any]) -> None:
    def differs(row: tuple[str, Path, dict[str, Any], dict[str, Any]]) -> str | None:
        place, path, options, _ = row
        command = [str(PROGRAM), str(path), "--json", *as_arguments(options)]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return None if printed == in_python(path, options) else place

    with ThreadPoolExecutor(2) as pool:  # the core runs without the interpreter's lock
        assert [place for place in pool.map(differs, asked) if place] == []


@needs_module
def test_the_page_gives_the_same(asked: list[Any]) -> None:
    requests = [
        json.dumps({"model": json.loads(path.read_text()), "name": path.name, "options": options})
        for _, path, options, _ in asked
    ]
    node = ["node", str(Path(__file__).with_name("answers.mjs")), str(MODULE)]
    printed = subprocess.run(node, input="\n".join(requests), capture_output=True, text=True, check=True).stdout
    responses = [json.loads(line) for line in printed.splitlines()]
    assert len(responses) == len(asked)
    differing = [row[0] for row, text in zip(asked, responses, strict=True) if text != in_python(row[1], row[2])]
    assert differing == []
