"""Models of transformers by their config: the class, the config made ready for training, and a batch for it."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import torch

from .._errors import InputError
from ._adopt import Adoption
from ._asked import Asked
from ._batches import Sense, batch_of, sense_of
from ._gpu import ANY
from ._loop import batches_of
from ._session import Session

#: transformers' mappings from a type to its classes, in the order in which a config's class is looked for.
MAPPINGS = (
    "CAUSAL_LM",
    "SEQ_TO_SEQ_CAUSAL_LM",
    "IMAGE_TEXT_TO_TEXT",
    "SPEECH_SEQ_2_SEQ",
    "MASKED_LM",
    "CTC",
    "IMAGE_CLASSIFICATION",
    "VIDEO_CLASSIFICATION",
    "AUDIO_CLASSIFICATION",
    "OBJECT_DETECTION",
    "SEMANTIC_SEGMENTATION",
    "UNIVERSAL_SEGMENTATION",
    "ZERO_SHOT_IMAGE_CLASSIFICATION",
    "MASKED_IMAGE_MODELING",
    "SEQUENCE_CLASSIFICATION",
)


def types_of(mapping: str) -> dict[str, Any]:
    """The types of a mapping, each with the name of its class."""
    from transformers.models.auto import modeling_auto

    return dict(getattr(modeling_auto, f"MODEL_FOR_{mapping}_MAPPING_NAMES"))


def class_of(config: Any, mapping: str | None = None) -> Any:
    """The class that a config's `architectures` names, else the first mapping's that knows its type."""
    import transformers

    if mapping is None:
        named = getattr(transformers, (config.architectures or [""])[0], None)
        if named is not None:
            return named
    for each in [mapping] if mapping else MAPPINGS:
        found = types_of(each).get(config.model_type)
        if found:
            return getattr(transformers, found if isinstance(found, str) else found[0])
    problem = f"transformers has no model with a loss for {config.model_type}"
    raise InputError("MODEL", problem, "name a class in the config's architectures")


def make_ready(asked: Asked) -> None:
    """The config for training: no cache, and the ids that a task cannot do without."""
    wanted = []
    if asked.kind.__name__.endswith("ForSequenceClassification"):
        wanted.append("pad_token_id")  # a decoder's answer is that of the last token which is none
    if getattr(asked.config, "is_encoder_decoder", False) or "decoder_input_ids" in asked.takes:
        wanted += ["pad_token_id", "decoder_start_token_id"]  # labels are shifted
    for each in (asked.config, asked.text):
        each.use_cache = False
        for name in wanted:
            if getattr(each, name, None) is None:
                setattr(each, name, 0)


def make_of(asked: Asked, dtype: torch.dtype | None = None) -> Callable[[], Any]:
    """What makes the model; with its weights in a dtype as from_pretrained makes them: what is computed in fp32 stays in it."""

    def make() -> Any:
        with _default(dtype or torch.get_default_dtype()):
            model = asked.kind(asked.config)
        if dtype is not None:
            _keep(model, dtype)
        if hasattr(model, "set_default_language"):  # X-MOD's adapters
            model.set_default_language(asked.config.languages[0])
        return model

    return make


def _keep(model: Any, dtype: torch.dtype) -> None:
    """What from_pretrained leaves in fp32 by the model's plan: T5's `wo` in fp16, a buffer of DeepSeek-V3's router."""
    plan = model._get_dtype_plan(dtype) if hasattr(model, "_get_dtype_plan") else {}
    for name, module in model.named_modules():
        if (last := name.rpartition(".")[2]) in plan:
            module.to(plan[last])
        for key, buffer in module._buffers.items():
            if key in plan:
                module._buffers[key] = buffer.to(plan[key])


@contextlib.contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def full_batch(asked: Asked, make: Callable[[], Any]) -> dict[str, Any]:
    """The batch, with as many tokens for images or sound as the model makes features."""
    without = batch_of(asked)
    sense = sense_of(asked.config, without) if "input_ids" in without else None
    return without if sense is None else batch_of(asked, _features(make, without, sense) // asked.batch)


def _features(make: Callable[[], Any], batch: dict[str, Any], sense: Sense) -> int:
    """How many rows of features a model makes of a batch's images or sound: asked of the model itself, on fakes."""
    with Adoption(), Session(ANY).active(), torch.no_grad():
        with torch.device("cuda"):
            model = make()
        features = next((found for each in (model.base_model, model) if (found := getattr(each, sense.features, None))), None)
        if features is None:
            return 0
        takes = inspect.signature(features).parameters
        wanted = {name for name, each in takes.items() if name != "input_ids" or each.default is each.empty}
        found = features(**{name: each for name, each in batches_of(batch)().items() if name in wanted})
        pooled = getattr(found, "pooler_output", found)
        found = pooled if pooled is not None else found.last_hidden_state
        parts = found if isinstance(found, (list, tuple)) else [found]
        return sum(each.numel() // each.shape[-1] for each in parts if isinstance(each, torch.Tensor))
