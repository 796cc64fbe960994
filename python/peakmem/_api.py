"""Requests to the core: this module turns Python values into JSON and errors into exceptions, nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from . import _core
from ._errors import InputError


def ask(command: str, request: Mapping[str, Any], form: str = "json") -> str:
    """The core's answer: JSON, or the text of another form. Raises InputError."""
    try:
        text = json.dumps({"command": command, "format": form, **request}, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError("request", str(error), "configs and options hold texts, numbers, flags and lists") from None
    response = _core.answer(text)
    if response.startswith('{"error"'):
        error_of = json.loads(response)["error"]
        field = error_of["field"]
        if field.startswith("--"):
            field = field[2:].replace("-", "_")
        raise InputError(field, error_of["problem"], error_of["hint"])
    if form == "json":
        return response
    return str(json.loads(response)["text"])
