"""Work in a child process, of which nothing stays in this one: neither patches of libraries nor what a program leaves behind."""

from __future__ import annotations

import os
import pickle
import signal
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from .._errors import InputError

T = TypeVar("T")


def in_child(work: Callable[[], T]) -> T:
    """What `work` returns there, or the error that it raises."""
    if not hasattr(os, "fork"):
        raise InputError("isolate", "this system forks no process", "leave it out")
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, of which the child uses none
        child = os.fork()
    if child == 0:
        os.close(reader)
        _answer(work, writer)
    os.close(writer)
    try:
        with os.fdopen(reader, "rb") as pipe:
            said = pipe.read()
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    _, status = os.waitpid(child, 0)
    if not said:
        ended = f"signal {status & 127}" if status & 127 else f"exit code {status >> 8}"
        raise InputError("trace", f"its process ended with {ended}", "trace without isolate to see more")
    found, error = pickle.loads(said)  # written by this program's own child
    if error is not None:
        raise error
    return found  # type: ignore[no-any-return]


def _answer(work: Callable[[], Any], writer: int) -> None:
    """The child's life."""
    failed = 1
    try:
        try:
            said = pickle.dumps((work(), None))
        except InputError as error:
            said = pickle.dumps((None, error))
        except Exception as error:
            said = pickle.dumps((None, InputError("trace", f"{type(error).__name__}: {error}")))
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(said)
        failed = 0
    finally:
        os._exit(failed)
