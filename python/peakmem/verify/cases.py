"""The trainings that are run: small ones that differ in what they allocate by, and a large one by the card's memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import peakmem

from .._rows import GpuRow

LLAMA = {"model_type": "llama", "vocab_size": 32000, "num_key_value_heads": 8, "tie_word_embeddings": False}
SMALL_LLAMA = {**LLAMA, "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 4, "num_attention_heads": 16}
LARGE_LLAMA = {**LLAMA, "hidden_size": 2048, "intermediate_size": 5632, "num_attention_heads": 32}
GPT2 = {"model_type": "gpt2", "n_embd": 768, "n_layer": 4, "n_head": 12}
BERT = {"model_type": "bert", "num_hidden_layers": 4}

#: Of the large case: as many layers as fit with a tenth of the card to spare.
LAYERS = (32, 24, 16, 8, 4, 2)
HEADROOM = "12%"


@dataclass(frozen=True)
class Case:
    """A model's config, and the options of the command line that say how it is trained."""

    name: str
    config: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)

    def estimate(self, gpu: str, transformers: str) -> peakmem.Report:
        return peakmem.estimate(self.config, gpu=gpu, transformers=transformers, use_cache="no", **self.options)


def small(half: str) -> Iterator[Case]:
    yield Case("gpt2, fp32", GPT2, {"batch": 4, "seq": 512})
    yield Case("gpt2, mixed, eager", GPT2, {"batch": 8, "seq": 512, "precision": f"{half}-mixed", "attention": "eager"})
    yield Case("bert, mixed", BERT, {"batch": 16, "seq": 256, "precision": f"{half}-mixed", "task": "masked-lm"})
    yield Case("llama, fused", SMALL_LLAMA, {"batch": 2, "seq": 1024, "precision": half, "optimizer_impl": "fused"})
    yield Case(
        "llama, checkpointed",
        SMALL_LLAMA,
        {"batch": 2, "seq": 2048, "precision": half, "checkpointing": "full", "clip_grad": True},
    )
    yield Case("llama, sgd", SMALL_LLAMA, {"batch": 2, "seq": 1024, "precision": half, "optimizer": "sgd"})


def large(gpu: GpuRow, half: str, transformers: str) -> Case | None:
    """The deepest model that fits with the largest batch of its."""
    for layers in LAYERS:
        config = {**LARGE_LLAMA, "num_hidden_layers": layers}
        options: dict[str, Any] = {"seq": 2048, "precision": half, "checkpointing": "full"}
        found = peakmem.solve(config, gpu=gpu.name, transformers=transformers, use_cache="no", headroom=HEADROOM, **options)
        if found.value:
            return Case(f"llama of {layers} layers", config, {**options, "batch": found.value})
    return None


def cases(gpu: GpuRow, transformers: str) -> list[Case]:
    """Half precision is bf16 where the GPU has it."""
    half = "bf16" if gpu.compute_capability >= 80 else "fp16"
    last = large(gpu, half, transformers)
    return [*small(half), *([last] if last else [])]
