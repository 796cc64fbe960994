"""Plans and the time of a step in Python, typed as their JSON is."""

from __future__ import annotations

import json
from typing import Any

import peakmem
import pytest
from peakmem import InputError

HELD: dict[str, Any] = {"seq": 128, "layers": 2, "optimizer_impl": "fused", "checkpointing": "none", "kernels": "hf"}


def test_plans_are_ranked_and_answer_why() -> None:
    plans = peakmem.plan("gpt2", gpus="2xt4", global_batch=4, **HELD)
    data = json.loads(plans.to_json())["plan"]
    assert plans.version == 1 and plans.size == data["size"] == 22
    likely = [plan.seconds.likely for plan in plans.plans]
    assert likely == sorted(likely) and plans.nearest is None
    assert {plan.id for plan in plans.front} <= {plan.id for plan in plans.plans}
    assert sum(rule.plans for rule in plans.rules) == plans.size - plans.legal
    assert "no-sync" in plans.why(5).rule
    assert plans.why(plans.plans[0].id).better == ()
    assert plans.svg().startswith("<svg") and plans.csv().startswith("list,id")
    assert "The quickest that fit" in str(plans)


def test_a_plan_has_the_memory_of_its_command() -> None:
    plan = peakmem.plan("gpt2", gpus="2xt4", global_batch=4, **HELD).plans[0]
    words = plan.command.split()[2:]
    options: dict[str, str | bool] = {}
    for word, following in zip(words, [*words[1:], "--"], strict=True):
        if word.startswith("--"):
            options[word[2:].replace("-", "_")] = True if following.startswith("--") else following
    assert peakmem.estimate("gpt2", **options).peak.device_bytes == plan.device_bytes


def test_a_plan_without_cards_is_refused() -> None:
    with pytest.raises(InputError, match="no multiple of 8 ranks"):
        peakmem.plan("gpt2", gpus="8xh100-80gb", global_batch=12)


def test_the_time_of_a_step_is_a_range() -> None:
    time = peakmem.step_time("gpt2", gpu="a100-80gb", precision="bf16", seq=256, batch=2)
    assert 0 < time.seconds.low <= time.seconds.likely <= time.seconds.high
    assert sum(module.flops for module in time.modules) == time.flops
    assert time.modules[0].again_flops == 0 and "an estimate" in str(time)
