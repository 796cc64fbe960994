"""torch's dtypes by the names that configs and options have for them."""

from __future__ import annotations

PRECISIONS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


def precision_of(dtype: object) -> str | None:
    """`torch.bfloat16` or "bfloat16" as an option's value; None if it is neither."""
    return PRECISIONS.get(str(dtype).removeprefix("torch."))
