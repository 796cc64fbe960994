"""Requests to the core: this module turns Python values into JSON and errors into exceptions, nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from . import _core
from ._errors import InputError
from ._model import read_model

#: What an option's value may be; None is as good as not given.
Option: TypeAlias = str | int | float | bool | Sequence[str | int | float] | None

#: A model: a name, the path of a config, a config, or a live `transformers` config or model.
Model: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any] | object"


def option_name(keyword: str) -> str:
    """The command line's name of a keyword: `lora_rank` is --lora-rank, `for_` is --for."""
    return keyword.rstrip("_").replace("_", "-")


@dataclass(frozen=True)
class Subject:
    """A model and its options, as a request has them."""

    model: str | Mapping[str, Any] | None
    name: str | None
    options: Mapping[str, Option]

    def request(self) -> dict[str, Any]:
        members = {"model": self.model, "name": self.name, "options": dict(self.options)}
        return {name: value for name, value in members.items() if value}

    def changed(self, options: Mapping[str, Option]) -> Subject:
        """With those options in the place of its own."""
        return Subject(self.model, self.name, {**self.options, **options})


def subject(model: Model | None, options: Mapping[str, Option]) -> Subject:
    """A model and the keywords of a call as a subject."""
    read = read_model(model)
    named: dict[str, Option] = {option_name(keyword): value for keyword, value in options.items()}
    if read is None:
        return Subject(None, None, named)
    known = {name: value for name, value in read.options.items() if named.get(name) is None}
    return Subject(read.model, read.name, {**named, **known})


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
