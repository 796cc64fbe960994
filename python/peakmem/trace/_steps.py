"""Steps of a model in a loop, or of any loop, run until two are the same; and the program of them."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch

from .._errors import InputError
from ._adopt import Adoption
from ._chance import alike_in_every_step
from ._failures import users_errors
from ._gpu import Gpu
from ._loop import PRECISIONS, Loop, batches_of, chosen, make_optimizer
from ._program import Program, events_of, make_program
from ._progress import Progress
from ._session import Session

#: Steps until two are the same, at most.
STEPS = 6
#: Steps of a loop whose second is known to be as all that follow.
KNOWN = 2


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


def program_of(make: Maker, gpu: Gpu, options: dict[str, Any]) -> Program:
    """The program of a model and its batch in a plain loop."""
    return run_model(make, gpu, options)[1]


def run_model(
    make: Maker, gpu: Gpu, options: dict[str, Any], progress: Progress | None = None, steps: int | None = None
) -> tuple[Session, Program, str]:
    """The program of a model in a plain loop, and the name of its class; `steps` where it is known how many tell all."""
    with loop_of(make, gpu, options, progress) as (session, loop):
        run_steps(session, loop.step, steps)
        return session, program_so_far(session), type(loop.model).__name__


@contextlib.contextmanager
def loop_of(
    make: Maker, gpu: Gpu, options: dict[str, Any], progress: Progress | None = None
) -> Iterator[tuple[Session, Loop]]:
    """A model in a plain loop, ready for its first step, and the session in which it is traced."""
    session = Session(gpu, progress)
    weights, autocast = chosen(PRECISIONS, options["precision"], "precision") if options["precision"] else (None, None)
    with Adoption() as adoption, session.active(), users_errors():
        model, batch = make(adoption)
        _move(model)
        if weights is not None and any(each.dtype != weights for each in model.parameters() if each.is_floating_point()):
            model.to(weights)  # one that is already may keep buffers in fp32, as from_pretrained leaves them
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
        del model, optimizer
        session.phases.ready()
        yield session, loop


def build(model: Any, adoption: Adoption) -> Any:
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


def _move(model: Any) -> None:
    """To the device goes what its factory put on the CPU all the same: `torch.Tensor(n)` asks nobody for a device."""
    if any(each.device.type == "cpu" for each in itertools.chain(model.parameters(), model.buffers())):
        model.to("cuda")


def _checkpoint(model: Any) -> None:
    enable = getattr(model, "gradient_checkpointing_enable", None)
    if enable is None:
        problem = f"{type(model).__name__} has no gradient_checkpointing_enable"
        raise InputError("checkpointing", problem, "wrap its layers in torch.utils.checkpoint yourself")
    enable({"use_reentrant": False})


def run_steps(session: Session, step: Callable[[], Any], steps: int | None = None) -> None:
    """Runs the step until it does the same as the one before, or so often."""
    with alike_in_every_step() as begin:
        for done in range(1, (steps or STEPS) + 1):
            begin()
            if _is_as_before(session, step, done):
                return


def _is_as_before(session: Session, step: Callable[[], Any], done: int) -> bool:
    log, phases = session.recorder.log, session.phases
    before = phases.step
    step()
    if phases.step == before or phases.name not in ("optimizer", "evaluate", ""):
        what = f"its {phases.name} phase was the last" if phases.step else "no module and no backward pass was run"
        raise InputError("step", f"is no training step: {what}", "it must end with an optimizer's step()")
    last = phases.step
    if done == 1 or done == 2 and last == 2:
        return False
    return events_of(log, phases.list, last, len(log.events)) == events_of(log, phases.list, last - 1, len(log.events))


def program_so_far(session: Session) -> Program:
    if not any(each.name == "optimizer" for each in session.phases.list):
        raise InputError("tracing", "saw no training step", "run at least two, each with an optimizer's step()")
    session.label_model()
    program = make_program(session.recorder.log, session.phases.list, list(session.places.named("parameters")))
    if program.steps < 2:
        raise InputError("tracing", "saw one training step", "run at least two: the second is the steady one")
    return program
