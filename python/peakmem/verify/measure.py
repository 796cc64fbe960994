"""One training on the GPU, in a process of its own: three steps of a plain loop, and what PyTorch and the driver say.

    python -m peakmem.verify.measure < CASE.json > MEASURED.json
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
from typing import Any

STEPS = 3
TASKS = {"causal-lm": "AutoModelForCausalLM", "masked-lm": "AutoModelForMaskedLM"}


def build(torch: Any, transformers: Any, config: dict[str, Any], options: dict[str, Any]) -> Any:
    """The model, made on the device."""
    fields = dict(config)
    made = transformers.AutoConfig.for_model(fields.pop("model_type"), **fields)
    made.use_cache = False
    weights = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(options.get("precision", "fp32"), torch.float32)
    auto = getattr(transformers, TASKS[options.get("task", "causal-lm")])
    dtype = "dtype" if int(transformers.__version__.split(".")[0]) >= 5 else "torch_dtype"
    with torch.device("cuda"):
        model = auto.from_config(made, attn_implementation=options.get("attention", "sdpa"), **{dtype: weights})
    if options.get("checkpointing"):
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model.train()


def optimizer_of(torch: Any, model: Any, options: dict[str, Any]) -> Any:
    if options.get("optimizer") == "sgd":
        return torch.optim.SGD(model.parameters(), lr=1e-4)
    fused = options.get("optimizer_impl") == "fused"
    return torch.optim.AdamW(model.parameters(), lr=1e-5, fused=fused, foreach=not fused)


def train(torch: Any, transformers: Any, config: dict[str, Any], options: dict[str, Any]) -> None:
    model = build(torch, transformers, config, options)
    optimizer = optimizer_of(torch, model, options)
    half = {"bf16-mixed": torch.bfloat16, "fp16-mixed": torch.float16}.get(options.get("precision", "fp32"))
    shape = options["batch"], options["seq"]
    for _ in range(STEPS):
        batch = {name: torch.ones(shape, dtype=torch.long, device="cuda") for name in ("input_ids", "labels")}
        with torch.autocast("cuda", dtype=half) if half else contextlib.nullcontext():
            outputs = model(**batch)
        loss = outputs.loss
        loss.backward()
        if options.get("clip_grad"):
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    torch.cuda.synchronize()


def used(torch: Any) -> int:
    """Bytes of the device that are in use, by whom ever."""
    free, total = torch.cuda.mem_get_info()
    return int(total - free)


def measure(case: dict[str, Any]) -> dict[str, int]:
    """Bytes: the highest that tensors and kernels asked for, allocated and reserved; of the device what was in use
    beside what PyTorch had reserved, at first and at the end."""
    torch, transformers = (importlib.import_module(name) for name in ("torch", "transformers"))
    torch.cuda.init()
    at_first = used(torch) - torch.cuda.memory_reserved()
    train(torch, transformers, case["config"], case["options"])
    stats = torch.cuda.memory_stats()
    peaks = {kind: stats[f"{kind}_bytes.all.peak"] for kind in ("requested", "allocated", "reserved")}
    return {
        **peaks,
        "beside_at_first": at_first,
        "beside": used(torch) - torch.cuda.memory_reserved(),
        "retries": stats["num_alloc_retries"],
    }


if __name__ == "__main__":
    print(json.dumps(measure(json.load(sys.stdin))))
