"""What a sweep varies: options and their values, or a grid file that says both."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from ._errors import InputError

#: Options and their values, as a dict or as the JSON file that `peakmem sweep --grid` takes.
Grid: TypeAlias = "Mapping[str, Any] | str | os.PathLike[str]"


def _read(grid: Grid) -> Mapping[str, Any]:
    if isinstance(grid, Mapping):
        return grid
    try:
        read = json.loads(Path(grid).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError("grid", f"{os.fspath(grid)}: {error.strerror}", "") from None
    except ValueError as error:
        raise InputError("grid", f"{os.fspath(grid)} is no JSON: {error}", "") from None
    if not isinstance(read, dict):
        raise InputError("grid", "must be an object of options and their values", 'such as {"batch": "1..64"}')
    return read


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _text(values: Any) -> str:
    """A list of values as the command line has it; a text is one already."""
    if isinstance(values, (str, int)):
        return _word(values)
    return ",".join(map(_word, values))


def axes_of(
    over: str | Sequence[str] | None, values: str | Sequence[Any] | range | None, grid: Grid | None
) -> tuple[list[str], str]:
    """The options that vary, and their values as the command line has them."""
    if grid is not None:
        if over is not None or values is not None:
            raise InputError("grid", "says what varies, and so do over and values", "drop one of them")
        read = _read(grid)
        if not read:
            raise InputError("grid", "is empty", 'such as {"batch": "1..64"}')
        names, lists = list(read), list(read.values())
    elif over is None or values is None:
        raise InputError("over" if over is None else "values", "is missing", 'such as over="batch", values=[1, 2, 4]')
    elif isinstance(over, str):
        names, lists = [over], [values]
    else:
        names, lists = list(over), list(values)
    return [name.replace("_", "-") for name in names], ";".join(map(_text, lists))
