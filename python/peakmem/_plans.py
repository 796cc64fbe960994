"""Plans for a number of cards, and how long a step takes, typed as their JSON is."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

from ._answers import NOBODY, Answer, assumed
from ._ask import Subject
from ._build import build
from ._api import ask


@dataclass(frozen=True)
class About:
    """A number of an estimate, with how low and how high it may be."""

    low: float
    likely: float
    high: float


@dataclass(frozen=True)
class TimePart:
    """What one class of ops computes, moves and takes in a step."""

    name: str
    flops: int
    bytes: int
    seconds: float


@dataclass(frozen=True)
class ModuleTime:
    """A module's floating-point operations in a step; `again_flops` of a checkpointed layer's second forward pass."""

    name: str
    flops: int
    forward_flops: int
    backward_flops: int
    again_flops: int
    update_flops: int
    bytes: int


@dataclass(frozen=True)
class StepTime(Answer):
    """About how long a step takes: an estimate for ordering, never a measurement.

    Attributes:
        flops: floating-point operations that kernels do; `model_flops` those that the model asks for.
        seconds: of a step.
        tokens_per_second: of all ranks.
        mfu: model flops utilization, a share of `rate`.
        parts: where the likely seconds go.
        modules: those that multiply, the most first.
        reasons: why low, likely and high are what they are.
    """

    model: str
    gpu: str
    ranks: int
    tokens: int
    flops: int
    model_flops: int
    bytes: int
    sent_bytes: int
    ops: int
    rate: float
    dtype: str
    seconds: About
    tokens_per_second: About
    mfu: About
    parts: tuple[TimePart, ...]
    modules: tuple[ModuleTime, ...]
    reasons: tuple[str, ...]
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]
    _subject: Subject = field(default=NOBODY, repr=False, compare=False, kw_only=True)

    def __str__(self) -> str:
        return ask("time", self._subject.request(), "text")


def ask_time(subject: Subject) -> StepTime:
    text = ask("time", subject.request())
    data = json.loads(text)
    return replace(build(StepTime, {**assumed(data, subject), **data["time"]}), _json=text, _subject=subject)


@dataclass(frozen=True)
class PlanAxis:
    """One thing to choose: the options that each choice sets."""

    name: str
    choices: tuple[str, ...]


@dataclass(frozen=True)
class PlanRule:
    """A rule that forbids plans, and how many."""

    rule: str
    plans: int


@dataclass(frozen=True)
class Plan:
    """A way to train: its number in the space, what it chooses by axis, its memory on each card and its time."""

    id: int
    choices: tuple[str, ...]
    command: str
    allocated_bytes: int
    device_bytes: int
    device_low_bytes: int
    device_high_bytes: int
    verdict: str
    seconds: About
    tokens_per_second: About
    mfu: About


@dataclass(frozen=True)
class Plans(Answer):
    """Every way to train a model on a number of cards, ranked by the time of a step.

    Attributes:
        size: how many plans there are, numbered from 0; `axes` says what they choose from.
        legal: how many of them are jobs; `may_fit` by what they allocate; `replayed` in the allocator.
        rules: why the others are none.
        plans: the quickest that fit.
        front: those that no other one beats in both memory and time.
        nearest: where none fits, the one that lacks least.
        bound: why nothing can fit, where that is known before any plan is looked at.
    """

    model: str
    version: int
    gpu: str
    cards: int
    global_batch: int
    capacity_bytes: int
    bound: str
    size: int
    axes: tuple[PlanAxis, ...]
    legal: int
    may_fit: int
    replayed: int
    rules: tuple[PlanRule, ...]
    plans: tuple[Plan, ...]
    front: tuple[Plan, ...]
    nearest: Plan | None
    assumptions: tuple[str, ...]
    _subject: Subject = field(default=NOBODY, repr=False, compare=False, kw_only=True)

    def __str__(self) -> str:
        return ask("plan", self._subject.request(), "text")

    def why(self, id: int) -> PlanReason:
        """Why the plan of that number fails, or which ones beside it beat it."""
        return ask_reason(replace(self._subject, options={**self._subject.options, "why": id}))

    def svg(self) -> str:
        """The front as a picture."""
        return ask("plan", self._subject.request(), "svg")

    def csv(self) -> str:
        """A line for every plan that is shown."""
        return ask("plan", self._subject.request(), "csv")

    def _repr_svg_(self) -> str:
        return self.svg()


def ask_plans(subject: Subject) -> Plans:
    text = ask("plan", subject.request())
    data = json.loads(text)
    return replace(build(Plans, {**assumed(data, subject), **data["plan"]}), _json=text, _subject=subject)


@dataclass(frozen=True)
class PlanReason(Answer):
    """Why a plan is not the first.

    Attributes:
        rule: the rule that makes it no job; empty where it is one.
        plan: what it comes to.
        better: plans that differ in one choice, fit, and are quicker (or fit, where it does not).
    """

    model: str
    id: int
    rule: str
    plan: Plan | None
    better: tuple[Plan, ...]
    _subject: Subject = field(default=NOBODY, repr=False, compare=False, kw_only=True)

    def __str__(self) -> str:
        return ask("plan", self._subject.request(), "text")


def ask_reason(subject: Subject) -> PlanReason:
    text = ask("plan", subject.request())
    data = json.loads(text)
    return replace(build(PlanReason, {"model": data["model"], **data["why"]}), _json=text, _subject=subject)
