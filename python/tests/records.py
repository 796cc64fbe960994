"""The records of real steps (oracle/records), each as the options that ask for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

PRECISIONS = {"bf16-autocast": "bf16-mixed", "fp16-autocast": "fp16-mixed", "bf16-fsdp": "fp32"}
OPTIMIZERS = {"adafactor": "hf-adafactor", "torch-adafactor": "adafactor"}

#: What the cases name otherwise than the options do.
NAMED = {"clip": "clip-grad", "imbalance": "moe-imbalance", "matrices": "muon-matrices"}
#: What is read below, and what measuring alone needs.
READ = {"config", "seq", "optimizer", "precision", "checkpointing", "reentrant", "lora", "freeze", "ranks", "reduce"}
READ |= {"kernels", "reshard_after_forward", "attn_dropout_note", "rest"}


def records() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every record by file and line."""
    for path in sorted((ROOT / "oracle" / "records").glob("*.jsonl")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            yield f"{path.name}:{number}", json.loads(line)


def options_of(case: dict[str, Any], known: set[str]) -> dict[str, Any] | None:
    """The options of a case; None where no option says what it says."""
    options = {NAMED.get(name, name.replace("_", "-")): value for name, value in case.items() if name not in READ}
    options |= case.get("kernels", {})
    if options.get("loss") == "fused":  # only fused-linear is Liger's, as the oracle reads it
        options["loss"] = "hf"
    if "seq" in case and case["task"] != "image-classification":
        options["seq"] = case["seq"]
    options["precision"] = PRECISIONS.get(case["precision"], case["precision"])
    name, _, implementation = case["optimizer"].partition("/")
    options["optimizer"] = OPTIMIZERS.get(name, name.replace("_", "-"))
    options["optimizer-impl"] = implementation or None
    if "rest" in case:
        name, _, implementation = case["rest"].partition("/")
        options["rest-optimizer"] = name.replace("_", "-")
        if implementation in ("loop", "fused"):  # an option has the usual one
            options["rest"] = implementation
    if case.get("checkpointing"):
        options["checkpointing"] = "full-reentrant" if case.get("reentrant") else "full"
    if "freeze" in case:
        options["freeze"] = ",".join(case["freeze"])
    for name in ("keep_outputs", "use_cache"):  # absent from older records, whose loop kept nothing
        options[name.replace("_", "-")] = "yes" if case.get(name) else "no"
    if "eval_batch" in case:
        options["eval-batches"] = case.get("eval_batches", 1)
    if options.get("mlp") == "fused":  # Liger's experts run, whatever the case says of them
        options.pop("experts", None)
    options |= adapter_of(case.get("lora")) | ranks_of(case)
    options = {name: value for name, value in options.items() if value is not None and value is not False}
    return options if set(options) <= known else None


def adapter_of(lora: dict[str, Any] | None) -> dict[str, Any]:
    if lora is None:
        return {}
    targets = lora["targets"]
    return {
        "lora-rank": lora["r"],
        "lora-targets": targets if isinstance(targets, str) else ",".join(targets),
        "lora-dropout": lora.get("dropout", 0.0),
        "lora-modules-to-save": ",".join(lora.get("save", [])) or None,
        "task type": lora.get("task_type"),  # no option says it
        "lora-dtype": None if lora.get("fp32", True) else "model",
    }


def ranks_of(case: dict[str, Any]) -> dict[str, Any]:
    ranks = case.get("ranks") or {}
    options: dict[str, Any] = {"ddp": ranks.get("ddp"), "bucket-view": ranks.get("bucket_view")}
    if "find_unused" in ranks:
        options["find-unused"] = "yes" if ranks["find_unused"] else "no"
    if "bucket_mb" in ranks:
        whole = float(ranks["bucket_mb"]).is_integer()
        options["bucket-mb" if whole else "part of a MiB"] = int(ranks["bucket_mb"])
    if "replicate" in ranks:
        options["hsdp"] = f"{ranks['replicate']}x{ranks['fsdp']}"
    elif "fsdp" in ranks:
        options["fsdp"] = ranks["fsdp"]
    if case["precision"] == "bf16-fsdp":
        options |= {"fsdp-param-dtype": "bf16", "fsdp-reduce-dtype": case.get("reduce", "fp32")}
    for name in ("param_dtype", "reduce_dtype"):
        if name in ranks:
            options["fsdp-" + name.replace("_", "-")] = ranks[name]
    if case.get("reshard_after_forward") is False:
        options["no-reshard-after-forward"] = True
    return options


def as_arguments(options: dict[str, Any]) -> list[str]:
    """Options as the command line takes them."""
    words = []
    for name, value in options.items():
        words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return words
