"""What fails in a user's code on fakes, told by the op that wanted something and by the user's own lines."""

from __future__ import annotations

import contextlib
import pathlib
import sysconfig
import traceback
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from .._errors import InputError

#: Lines that are shown, and characters of what an error says.
FRAMES, SAID = 8, 400

#: Where torch and this package are, whose lines nobody wants to see, and where libraries are.
OURS = (str(pathlib.Path(torch.__file__).parent), str(pathlib.Path(__file__).parent), "<")
LIBRARIES = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), sysconfig.get_path("stdlib"))

#: A device's memory is read or written where there is none: by a kernel that is called around the dispatcher.
AROUND = ("data_ptr", "data pointer", "storage that is not on", "Pointer argument")


def called(func: Any, args: Any, kwargs: Any) -> str:
    """An op with what it was given: `aten.mm of float32 [16, 8], float32 [9, 4]`."""
    given = []
    for each in tree_leaves((args, kwargs)):
        if isinstance(each, torch.Tensor):
            given.append(f"{str(each.dtype).removeprefix('torch.')} {list(each.shape)}")
    name = str(func).removesuffix(".default")
    return f"{name} of {', '.join(given[:4])}{' and more' if len(given) > 4 else ''}" if given else name


def began_in(error: BaseException, func: Any, args: Any, kwargs: Any) -> None:
    """Notes on an error in which op it began. Nothing here holds the error: its traceback would keep tensors alive."""
    if not hasattr(error, "_peakmem_op"):
        error._peakmem_op = called(func, args, kwargs)  # type: ignore[attr-defined]


def _op_of(error: BaseException | None) -> str:
    """The op in which an error began, or one that it came of; nothing if it began elsewhere."""
    while error is not None:
        if op := getattr(error, "_peakmem_op", ""):
            return str(op)
        error = error.__cause__ or error.__context__
    return ""


@contextlib.contextmanager
def users_errors() -> Iterator[None]:
    """An InputError with the op and the user's lines for what fails inside."""
    try:
        yield
    except InputError as error:
        lines = users_lines(error)
        if error.field != "model" or not lines or error.__cause__ is None:
            raise
        raise InputError(error.field, error.problem + lines, error.hint) from error.__cause__
    except Exception as error:
        raise _told(error, _op_of(error)) from error


@contextlib.contextmanager
def made_inside() -> Iterator[None]:
    """An InputError where a block's loop meets a tensor that is real."""
    try:
        yield
    except AssertionError as error:
        if "convert all Tensors to FakeTensors" not in str(error):
            raise
        problem = f"meets a tensor that was made before the block{users_lines(error)}"
        raise InputError("tracing", problem, "make model, optimizer and batches inside, or pass a closure to peakmem.trace") from error


def _told(error: Exception, op: str) -> InputError:
    said = str(error).strip()[:SAID] or "without a word"
    where = f" in {op}" if op else ""
    problem = f"fails on shapes alone{where}: {type(error).__name__}: {said}{users_lines(error)}"
    if any(each in said for each in AROUND):
        return InputError("model", problem, "a kernel is called with addresses, not as an op of torch: leave it out, or register it")
    return InputError("model", problem, "a run on a GPU would tell whether it is the model's or the tracer's")


def users_lines(error: BaseException) -> str:
    """The traceback's frames in the user's files, the last ones; without any those in libraries beside torch."""
    frames = [each for each in traceback.extract_tb(error.__traceback__) if not each.filename.startswith(OURS)]
    own = [each for each in frames if not each.filename.startswith(LIBRARIES)]
    shown = own[-FRAMES:]
    deepest = frames[-1:] if frames and frames[-1] not in shown else []
    lines = [f"\n  {each.filename}:{each.lineno} in {each.name}: {each.line}" for each in [*shown, *deepest]]
    return "".join(lines)
