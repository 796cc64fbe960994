"""From what a user has to a trace: the loop around a model, steps until two are the same, and the program of them."""

from __future__ import annotations

import contextlib
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import torch

from .._ask import Option
from .._errors import InputError
from ._adopt import Adoption
from ._answer import Trace
from ._family import make_family
from ._family_file import family_json
from ._file import as_json
from ._fit import Point
from ._gpu import Gpu
from ._loop import PRECISIONS, Loop, batches_of, chosen, make_optimizer
from ._program import Program, events_of, make_program
from ._session import Session

#: Versions of torch that the records and tests were run with.
TESTED = ("2.13",)

#: Steps until two are the same, at most.
STEPS = 6


#: What a trace may be told, and what it takes otherwise.
OPTIONS: dict[str, Any] = {
    "optimizer": "adamw",
    "optimizer_impl": None,
    "precision": None,
    "accumulate": 1,
    "clip_grad": None,
    "checkpointing": False,
    "loss": None,
    "name": None,
}

Maker = Callable[[Adoption], tuple[Any, Any]]


def trace_model(model: Any, batch: Any, gpu: Gpu, options: dict[str, Any]) -> Trace:
    """A model, live or a factory's, in a plain loop."""
    session, program, name = _traced(lambda adoption: (_build(model, adoption), batch), gpu, options)
    return _answer(session, as_json(program, _about(session, program, options["name"] or name, options)))


def trace_factory(factory: Callable[..., Any], at: Point, gpu: Gpu, options: dict[str, Any]) -> Trace:
    """A function of sizes that makes a model and its batch: traced until its sizes are formulas."""
    traced: list[tuple[Session, Program, str]] = []

    def program_at(point: Point) -> Program:
        found = _traced(lambda adoption: _made(factory, point), gpu, options)
        if not traced:  # the one at the sizes that are asked for
            traced.append(found)
        return found[1]

    family = make_family(program_at, at)
    session, program, name = traced[0]
    about = _about(session, program, options["name"] or name, options)
    about["notes"] = [f"formulas from {family.traces} traces, the same as a direct trace at these sizes", *about["notes"]]
    return _answer(session, family_json(family, about))


def _made(factory: Callable[..., Any], point: Point) -> tuple[Any, Any]:
    with torch.device("cuda"):
        made = factory(**point)
    if not (isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], torch.nn.Module)):
        raise InputError("model", f"the factory made a {type(made).__name__}", "it must return a model and its batch")
    return made


def program_of(make: Maker, gpu: Gpu, options: dict[str, Any]) -> Program:
    """The program of a model and its batch in a plain loop."""
    return _traced(make, gpu, options)[1]


def _traced(make: Maker, gpu: Gpu, options: dict[str, Any]) -> tuple[Session, Program, str]:
    """The program of a model in a plain loop, and the name of its class."""
    session = Session(gpu)
    weights, autocast = chosen(PRECISIONS, options["precision"], "precision") if options["precision"] else (None, None)
    with Adoption() as adoption, session.active(), _users_errors():
        model, batch = make(adoption)
        if weights is not None:
            model.to(weights)
        model.train()
        if options["checkpointing"]:
            _checkpoint(model)
        session.places.add(model)
        session.label_model()
        trained = [each for each in model.parameters() if each.requires_grad]
        if not trained:
            raise InputError("model", "has no parameter that is trained", "a training step needs one")
        optimizer = make_optimizer(options["optimizer"], options["optimizer_impl"], trained)
        batches = batches_of(batch)
        del batch, trained
        loop = Loop(
            model, batches, optimizer, autocast, options["accumulate"], options["clip_grad"], options["loss"]
        )  # fmt: skip
        session.phases.ready()
        _run_steps(session, loop.step)
        return session, _program(session), type(model).__name__


def trace_step(step: Callable[[], Any], gpu: Gpu, options: dict[str, Any]) -> Trace:
    """A closure: one training step of any loop."""
    session = Session(gpu)
    with Adoption() as adoption, session.active(), _users_errors():
        adoption.function(step)
        session.phases.ready()
        _run_steps(session, step)
        program = _program(session)
    name = options["name"] or getattr(step, "__name__", "step")
    return _answer(session, as_json(program, _about(session, program, name, options)))


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
        yield found
        program = _program(session)
    found.trace = _answer(session, as_json(program, _about(session, program, options["name"] or "a loop", options)))


def _build(model: Any, adoption: Adoption) -> Any:
    """A live model's own, with fakes in it, or what a factory makes, on the device."""
    if isinstance(model, torch.nn.Module):
        adoption.module(model)
        return model
    if not callable(model):
        hint = "pass a torch.nn.Module, or a function that makes one"
        raise InputError("model", f"is a {type(model).__name__}", hint)
    with torch.device("cuda"):
        built = model()
    if not isinstance(built, torch.nn.Module):
        raise InputError("model", f"the factory made a {type(built).__name__}", "it must return a torch.nn.Module")
    return built


def _checkpoint(model: Any) -> None:
    enable = getattr(model, "gradient_checkpointing_enable", None)
    if enable is None:
        problem = f"{type(model).__name__} has no gradient_checkpointing_enable"
        raise InputError("checkpointing", problem, "wrap its layers in torch.utils.checkpoint yourself")
    enable({"use_reentrant": False})


def _run_steps(session: Session, step: Callable[[], Any]) -> None:
    """Runs the step until it does the same as the one before."""
    log, phases = session.recorder.log, session.phases
    for done in range(1, STEPS + 1):
        before = phases.step
        step()
        if phases.step == before or phases.name not in ("optimizer", "evaluate", ""):
            what = f"its {phases.name} phase was the last" if phases.step else "no module and no backward pass was run"
            raise InputError("step", f"is no training step: {what}", "it must end with an optimizer's step()")
        last = phases.step
        if done > 2 or done == 2 and last > 2:
            if events_of(log, phases.list, last, len(log.events)) == events_of(log, phases.list, last - 1, len(log.events)):
                return


def _program(session: Session) -> Program:
    if not any(each.name == "optimizer" for each in session.phases.list):
        raise InputError("tracing", "saw no training step", "run at least two, each with an optimizer's step()")
    session.label_model()
    program = make_program(session.recorder.log, session.phases.list, list(session.places.named("parameters")))
    if program.steps < 2:
        raise InputError("tracing", "saw one training step", "run at least two: the second is the steady one")
    return program


@contextlib.contextmanager
def _users_errors() -> Iterator[None]:
    """What fails in a user's code on fakes says where: the deepest frame that is neither torch's nor ours."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [each for each in frames if not _is_library(each.filename)]
        where = f" ({own[-1].filename}:{own[-1].lineno}: {own[-1].line})" if own else ""
        problem = f"fails on shapes alone: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}{where}"
        raise InputError("model", problem, "the error above says what it wanted") from error


def _is_library(path: str) -> bool:
    return "/torch/" in path or path.startswith(str(__file__).rpartition("/")[0]) or path.startswith("<")


def _answer(session: Session, members: dict[str, Any]) -> Trace:
    asked: dict[str, Option] = {"gpu": session.gpu.name} if session.gpu.name else {}
    return Trace(members, asked)


def _about(session: Session, program: Program, name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The members of a file that are not the program's."""
    notes = [f"{count} times guessed, values not being known: {what}" for what, count in session.recorder.values.notes.items()]
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
