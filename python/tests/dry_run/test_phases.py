"""Phases are told by events; the script sees its own peaks whatever is reset for ours."""

from __future__ import annotations

import types
from typing import Any

import pytest

from peakmem.dry_run.child.peakmem_child.peaks import Peaks
from peakmem.dry_run.child.peakmem_child.phases import Enough, Phases, name_of


class Allocator:
    """torch, as far as it is asked: one device with a counter of each kind."""

    def __init__(self) -> None:
        self.now, self.peak = 0, 0
        self._C = types.SimpleNamespace(_cuda_memoryStats=self.stats, _cuda_resetPeakMemoryStats=self.reset)
        self.cuda = types.SimpleNamespace(is_initialized=lambda: True, device_count=lambda: 1)

        class Optimizer:
            @staticmethod
            def profile_hook_step(function: Any) -> Any:
                return function

        self.optim = types.SimpleNamespace(Optimizer=Optimizer)
        self.autograd = types.SimpleNamespace(backward=lambda call=None: call() if call else None)

    def stats(self, device: int) -> dict[str, Any]:
        counter = {"current": self.now, "peak": self.peak}
        return {f"{kind}_bytes": {"all": dict(counter)} for kind in ("allocated", "requested", "reserved")}

    def reset(self, device: int) -> None:
        self.peak = self.now

    def use(self, most: int, then: int) -> None:
        self.peak, self.now = max(self.peak, most), then


def highest(torch: Allocator) -> int:
    return int(torch._C._cuda_memoryStats(0)["allocated_bytes"]["all"]["peak"])


@pytest.fixture
def torch() -> Allocator:
    return Allocator()


def training(torch: Allocator, phases: Phases, steps: int, micro: int = 1) -> None:
    phases.install(torch)
    optimizer = torch.optim.Optimizer()
    step = torch.optim.Optimizer.profile_hook_step(lambda: torch.use(50, 20))
    for _ in range(steps):
        for _ in range(micro):
            torch.use(30, 25)
            torch.autograd.backward(lambda: torch.use(40, 10))
        torch.use(15, 10)
        step()
    assert optimizer


def test_a_step(torch: Allocator) -> None:
    phases = Phases(Peaks(torch))
    torch.use(12, 11)
    training(torch, phases, 2)
    phases.happened("end")
    found = {(row[1], row[2]): row[3] for row in phases.rows()}
    assert found == {
        (1, "model"): 12,
        (1, "forward"): 30,
        (1, "backward"): 40,
        (1, "before the step"): 15,
        (1, "optimizer"): 50,
        (2, "forward"): 30,
        (2, "backward"): 40,
        (2, "before the step"): 15,
        (2, "optimizer"): 50,
        (2, "end"): 20,
    }


def test_micro_batches_are_of_one_step(torch: Allocator) -> None:
    phases = Phases(Peaks(torch))
    training(torch, phases, 1, micro=3)
    assert phases.step == 1
    assert [row[2] for row in phases.rows()] == ["forward", "backward", "before the step", "optimizer"]


def test_it_ends_where_another_step_would_begin(torch: Allocator) -> None:
    phases = Phases(Peaks(torch), most_steps=2)
    with pytest.raises(Enough) as ended:
        training(torch, phases, 5)
    assert ended.value.code == 0
    phases.happened("end")
    assert max(row[1] for row in phases.rows()) == 2
    assert phases.rows()[-1][2] == "optimizer"


def test_backward_within_backward_is_a_part_of_it(torch: Allocator) -> None:
    phases = Phases(Peaks(torch))
    phases.install(torch)
    torch.autograd.backward(lambda: torch.autograd.backward(lambda: torch.use(5, 5)))
    assert [row[2] for row in phases.rows()] == ["backward"]


def test_an_error_within_a_phase_leaves_it(torch: Allocator) -> None:
    phases = Phases(Peaks(torch))
    phases.install(torch)

    def fails() -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        torch.autograd.backward(fails)
    assert phases.depth == 0


def test_the_script_sees_its_own_peaks(torch: Allocator) -> None:
    phases = Phases(Peaks(torch))
    training(torch, phases, 1)
    assert highest(torch) == 50
    torch._C._cuda_resetPeakMemoryStats(0)
    assert highest(torch) == torch.now == 20
    phases.happened("end")
    assert max(row[3] for row in phases.rows()) == 50


def test_names() -> None:
    assert name_of("start", "backward") == "model and forward"
    assert name_of("stepped", "backward") == "forward"
    assert name_of("backward", "failed") == "until it failed"
    assert name_of("stepped", "built") == "other"
