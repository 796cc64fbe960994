"""What a user has, traced, and what is said of it."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch

from .._ask import Option
from .._errors import InputError
from ._adopt import Adoption
from ._answer import Trace
from ._depth import trace_short
from ._failures import made_inside, users_errors
from ._family import Tracer, make_family, told
from ._family_file import family_json, program_json
from ._fit import Point
from ._gpu import Gpu
from ._guards import guards_of
from ._isolate import in_child
from ._program import Program
from ._progress import Progress
from ._session import Session
from ._steps import build, program_so_far, run_model, run_steps

#: Versions of torch that the records and tests were run with.
TESTED = ("2.13",)

def trace_model(model: Any, batch: Any, gpu: Gpu, options: dict[str, Any]) -> Trace:
    """A model, live or a factory's, in a plain loop."""
    def make(adoption: Adoption) -> tuple[Any, Any]:
        return build(model, adoption), batch

    progress = Progress()
    short = trace_short(make, model if isinstance(model, torch.nn.Module) else None, gpu, options, progress)
    if short is not None:
        about = _about(short.session, short.program, options["name"] or short.name, options)
        about["notes"].append(short.note)
        return _answer(short.session, {**family_json(short.family, about), **short.counts})
    session, program, name = run_model(make, gpu, options, progress)
    return _answer(session, program_json(program, _about(session, program, options["name"] or name, options)))


def trace_factory(factory: Callable[..., Any], at: Point, gpu: Gpu, options: dict[str, Any]) -> Trace:
    """A function of sizes that makes a model and its batch: traced until its sizes are formulas."""
    traced: list[tuple[Session, Program, str]] = []
    progress = Progress()

    def program_at(point: Point, steps: int | None) -> Program:
        found = _run_factory(factory, point, gpu, options, progress, steps)
        if not traced:  # the one at the sizes that are asked for
            traced.append(found)
        return found[1]

    family = make_family(program_at, at)
    session, program, name = traced[0]
    about = _about(session, program, options["name"] or name, options)
    about["notes"] = [f"formulas from {family.traces} traces, the same as a direct trace at these sizes", *about["notes"]]
    try:
        family.guards = guards_of(lambda **point: _made(factory, point), family.points, gpu, options["loss"])
    except Exception as error:  # what runs at numbers may not at symbols
        why = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        about["notes"].append(f"sizes are not compared by a symbolic run, which fails: {why}")
    found = _answer(session, family_json(family, about))
    return replace(found, family=family, direct=direct_tracer(factory, gpu, options))


def direct_tracer(factory: Callable[..., Any], gpu: Gpu, options: dict[str, Any], isolate: bool = False) -> Tracer:
    """What traces a factory at a point, for answers to be held to."""

    def program_at(point: Point, steps: int | None) -> Program:
        return _run_factory(factory, point, gpu, options, Progress(), steps)[1]

    return (lambda point, steps: in_child(lambda: program_at(point, steps))) if isolate else program_at


def _run_factory(
    factory: Callable[..., Any], point: Point, gpu: Gpu, options: dict[str, Any], progress: Progress, steps: int | None
) -> tuple[Session, Program, str]:
    progress.what = f"tracing at {told(point)}"
    return run_model(lambda adoption: _made(factory, point), gpu, options, progress, steps)


def _made(factory: Callable[..., Any], point: Point) -> tuple[Any, Any]:
    with torch.device("cuda"):
        made = factory(**point)
    if not (isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], torch.nn.Module)):
        raise InputError("model", f"the factory made a {type(made).__name__}", "it must return a model and its batch")
    return made


def trace_step(step: Callable[[], Any], gpu: Gpu, options: dict[str, Any]) -> Trace:
    """A closure: one training step of any loop."""
    session = Session(gpu)
    with Adoption() as adoption, session.active(), users_errors():
        adoption.function(step)
        session.phases.ready()
        run_steps(session, step)
        program = program_so_far(session)
    name = options["name"] or getattr(step, "__name__", "step")
    return _answer(session, program_json(program, _about(session, program, name, options)))


class Tracing:
    """What `peakmem.tracing()` gives: the trace, once the block is over."""

    def __init__(self) -> None:
        self.trace: Trace | None = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if self.trace is None:
            raise InputError("tracing", "is not over", f"ask for {name} after the block")
        return getattr(self.trace, name)


@contextlib.contextmanager
def trace_block(gpu: Gpu, options: dict[str, Any]) -> Iterator[Tracing]:
    """A user's own loop of at least two steps, in which everything is fake."""
    session, found = Session(gpu), Tracing()
    with session.active():
        with made_inside():
            yield found
        program = program_so_far(session)
    found.trace = _answer(session, program_json(program, _about(session, program, options["name"] or "a loop", options)))


def _answer(session: Session, members: dict[str, Any]) -> Trace:
    asked: dict[str, Option] = {"gpu": session.gpu.name} if session.gpu.name else {}
    return Trace(members, asked)


def _about(session: Session, program: Program, name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The members of a file that are not the program's."""
    notes = [f"{count} times guessed, values not being known: {what}" for what, count in session.recorder.values.notes.items()]
    notes.extend(session.notes)
    notes.append("kernels' own workspaces are not traced, but for cuBLAS'")
    if session.gpu.capability[0] in (9, 10):
        notes.append("attention by flash attention where PyTorch may take cuDNN's kernel")
    warnings = []
    version = ".".join(torch.__version__.split(".")[:2])
    if version not in TESTED:
        warnings.append(f"torch {torch.__version__} is not among the tested versions: {', '.join(TESTED)}")
    if not program.steady:
        warnings.append("the last two steps differ: the second is taken for the steady one")
    about: dict[str, Any] = {
        "model": name,
        "versions": _versions(),
        "made_of": _made_of(options),
        "notes": notes,
        "warnings": warnings,
    }
    if session.gpu.name:
        about["gpu"] = session.gpu.name
    return about


def _versions() -> dict[str, str]:
    found = {"torch": torch.__version__}
    for library in ("transformers", "peft", "accelerate"):
        version = getattr(sys.modules.get(library), "__version__", None)
        if version:
            found[library] = str(version)
    return found


def _made_of(options: dict[str, Any]) -> dict[str, Any]:
    """What was asked for, in words."""
    said = {}
    for name, value in options.items():
        if name == "name" or value in (None, False):
            continue
        plain = isinstance(value, (str, int, float, bool))
        said[name] = value if plain else getattr(value, "__name__", type(value).__name__)
    return said


def is_step(function: Any) -> bool:
    """Whether it is a closure of a step: a function that is called without arguments."""
    if isinstance(function, torch.nn.Module) or not callable(function):
        return False
    parameters = inspect.signature(function).parameters.values()
    return all(each.default is not each.empty or each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD) for each in parameters)
