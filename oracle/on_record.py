#!/usr/bin/env python3
"""What is on record for which family: a line a family, how many of the records in oracle/records have each.

    python3 oracle/on_record.py

Needs nothing but Python: it only counts. A dot is a zero.
"""

import collections
import json
import pathlib

TASKS = {"causal-lm": "c", "masked-lm": "m", "seq2seq-lm": "2", "sequence-classification": "s", "token-classification": "t",
         "question-answering": "q", "multiple-choice": "h", "pre-training": "p", "feature-extraction": "f",
         "image-classification": "i", "image-text-to-text": "v", "contrastive": "x"}


def kernels(case):
    return case.get("kernels") or {}


COLUMNS = (
    ("eager", lambda c: c.get("attention") == "eager"),
    ("sdpa", lambda c: c.get("attention") == "sdpa"),
    ("flash2", lambda c: c.get("attention") == "flash2"),
    ("liger", lambda c: any(part in kernels(c) for part in ("norm", "mlp", "rope")) or kernels(c).get("loss") == "fused-linear"),
    ("chunk", lambda c: kernels(c).get("loss") == "chunked"),
    ("ckpt", lambda c: c.get("checkpointing") and not c.get("reentrant")),
    ("reent", lambda c: c.get("checkpointing") and c.get("reentrant")),
    ("lora", lambda c: c.get("lora") and not c.get("quantize")),
    ("qlora", lambda c: c.get("lora") and c.get("quantize")),
    ("fsdp2", lambda c: "fsdp" in (c.get("ranks") or {})),
    ("ddp", lambda c: "ddp" in (c.get("ranks") or {})),
    ("frozen", lambda c: c.get("freeze")),
    ("eval", lambda c: c.get("eval_batch")),
    ("trainer", lambda c: c.get("trainer", "loop") != "loop"),
)


def read_cases(folder):
    for path in sorted(folder.glob("*.jsonl")):
        with open(path) as lines:
            for line in lines:
                yield json.loads(line)["case"]


def row(cases):
    heads = {TASKS[case["task"]] for case in cases if not case.get("objective")}
    counts = [sum(bool(has(case)) for case in cases) for _, has in COLUMNS]
    return [str(len(cases)), "".join(letter for letter in TASKS.values() if letter in heads)] + [str(n or "·") for n in counts]


def main():
    by_family = collections.defaultdict(list)
    for case in read_cases(pathlib.Path(__file__).parent / "records"):
        by_family[case["config"]["model_type"]].append(case)
    table = [["family", "all", "heads"] + [name for name, _ in COLUMNS]]
    table += [[family] + row(by_family[family]) for family in sorted(by_family)]
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    for line in table:
        texts = [cell.ljust(width) if i in (0, 2) else cell.rjust(width) for i, (cell, width) in enumerate(zip(line, widths))]
        print(" ".join(texts).rstrip())


if __name__ == "__main__":
    main()
