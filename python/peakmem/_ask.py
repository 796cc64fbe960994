"""A call's model and keywords as the subject of a request."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

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
    """A model and its options, as a request has them, what was taken for granted of a live one, and launch files."""

    model: str | Mapping[str, Any] | None
    name: str | None
    options: Mapping[str, Option]
    assumptions: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    def request(self) -> dict[str, Any]:
        members = {"model": self.model, "name": self.name, "options": dict(self.options), "files": list(self.files)}
        return {name: value for name, value in members.items() if value}

    def changed(self, options: Mapping[str, Option]) -> Subject:
        """With those options in the place of its own."""
        return replace(self, options={**self.options, **options})


def text_of_measured(value: Option) -> Option:
    """What `peakmem verify` measured is a file here, and its text for the core."""
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value).endswith(".json"):
        return value
    try:
        return Path(value).read_text()
    except OSError as error:
        raise InputError("context", f"{value}: {error.strerror}", "peakmem verify writes such a file") from None


def subject(model: Model | None, options: Mapping[str, Option]) -> Subject:
    """A model and the keywords of a call as a subject."""
    read = read_model(model)
    named: dict[str, Option] = {option_name(keyword): value for keyword, value in options.items()}
    if "context" in named:
        named["context"] = text_of_measured(named["context"])
    if read is None:
        return Subject(None, None, named)
    known = {name: value for name, value in read.options.items() if named.get(name) is None}
    return Subject(read.model, read.name, {**named, **known}, tuple(read.assumptions))
