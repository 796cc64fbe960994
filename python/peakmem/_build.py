"""Dataclasses from JSON."""

from __future__ import annotations

import types
from collections.abc import Hashable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


@cache
def hints(cls: Hashable) -> dict[str, Any]:
    """The declared types of a class's fields."""
    return get_type_hints(cls)


def build(cls: type[T], data: Mapping[str, Any]) -> T:
    """The dataclass whose fields are the members of `data`; a member without a field is only in `to_dict()`."""
    names = [each.name for each in fields(cls)]  # type: ignore[arg-type]
    declared = hints(cls)  # type: ignore[arg-type]
    return cls(**{name: convert(declared[name], data[name]) for name in names if name in data})


def convert(hint: Any, value: Any) -> Any:
    """A JSON value as the type that a field is declared with."""
    if value is None:
        return None
    if get_origin(hint) in (Union, types.UnionType):
        return convert(next(each for each in get_args(hint) if each is not type(None)), value)
    if get_origin(hint) is tuple:
        return tuple(convert(get_args(hint)[0], each) for each in value)
    if isinstance(hint, type) and is_dataclass(hint):
        return build(hint, value)
    return value
