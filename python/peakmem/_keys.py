"""The keys of TrainingArguments, as the core's own table has them (data/launch/hf.tsv)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from . import _core

#: Values as the table writes them.
VALUES: dict[str, object] = {"none": None, "false": False, "true": True}


@dataclass(frozen=True)
class Key:
    """A field: whether it is used, harmless, a doubt or refused; the values at which the last two change no byte."""

    name: str
    kind: str
    at: tuple[object, ...]
    note: str


def value(text: str) -> object:
    try:
        return VALUES[text] if text in VALUES else float(text)
    except ValueError:
        return text


@cache
def keys() -> tuple[Key, ...]:
    """Every field; those within a mapping have a point in their name."""
    lines = [line.split("\t") for line in _core.launch_table("hf").splitlines() if line and not line.startswith("#")]
    return tuple(
        Key(name, kind, () if at == "-" else tuple(map(value, at.split("|"))), note)
        for name, _type, kind, _slot, _default, at, _since, _until, note in lines
    )


def of_kind(kind: str) -> dict[str, Key]:
    """The fields of a kind by name."""
    return {key.name: key for key in keys() if key.kind == kind and "." not in key.name}
