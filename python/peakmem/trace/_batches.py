"""A batch for a model of transformers: what its forward pass takes, in the sizes that its config wants.

Ids, masks and sizes are real, so that what looks at them finds values; large images and long sound are of the meta device,
which has none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ._asked import Asked, number
from ._images import SPECIAL, image_shape, image_side
from ._sound import make_sound

#: Labels of a text that a recognizer hears.
HEARD = 20

# --- text


def _length(asked: Asked) -> int:
    """Tokens of a sequence: as many as are asked for, but where a model takes one number alone."""
    if getattr(asked.config, "axial_pos_embds", False):  # Reformer's positions are a grid that must be full
        return math.prod(asked.config.axial_pos_shape)
    if asked.config.model_type == "perceiver":  # whose answers are as long as its positions
        return int(asked.config.max_position_embeddings)
    return asked.seq


def _ids(asked: Asked) -> Any:
    """Token ids: none is padding, and the last one ends a text."""
    vocabulary = number(asked.text, "vocab_size", default=1000)
    ids = asked.full(_length(asked), value=min(7, vocabulary - 1))
    end = number(asked.text, "eos_token_id", default=0)
    if 0 < end < vocabulary:
        ids[:, -1] = end
    if asked.config.model_type == "kyutai_speech_to_text":  # of every moment the text's and the codebooks'
        return ids[..., None].repeat(1, 1, asked.config.num_codebooks + 1)
    separator = getattr(asked.config, "sep_token_id", None)
    if isinstance(separator, int) and asked.of("ForQuestionAnswering"):  # question, twice the end of it, context, end
        ids[:, [2, 3, -1]] = separator
    return ids


# --- labels


def _classes(asked: Asked, _: Mapping[str, Any]) -> Any:
    return {"labels": asked.full()}


def _spans(asked: Asked, _: Mapping[str, Any]) -> Any:
    return {"start_positions": asked.full(value=1), "end_positions": asked.full(value=2)}


def _boxes(asked: Asked, _: Mapping[str, Any]) -> Any:
    box = {"class_labels": torch.zeros(3, dtype=torch.long), "boxes": torch.full((3, 4), 0.5)}
    return {"labels": [dict(box) for _ in range(asked.batch)]}


def _maps(asked: Asked, _: Mapping[str, Any]) -> Any:
    return {"labels": asked.full(*image_shape(asked)[1:])}


def _segments(asked: Asked, _: Mapping[str, Any]) -> Any:
    size = image_shape(asked)[1:]
    return {
        "mask_labels": [torch.ones(3, *size) for _ in range(asked.batch)],
        "class_labels": [torch.zeros(3, dtype=torch.long) for _ in range(asked.batch)],
    }


def _hidden(asked: Asked, _: Mapping[str, Any]) -> Any:
    """Which patches are hidden: every second one."""
    side = image_side(asked)
    patches = math.prod(image_shape(asked)[1:]) // number(side, "patch_size", "encoder_stride", default=16) ** 2
    return {"bool_masked_pos": (torch.arange(patches) % 2 == 0).expand(asked.batch, patches).clone()}


def _tokens(asked: Asked, made: Mapping[str, Any]) -> Any:
    return {"labels": asked.full(made["input_ids"].shape[1] if "input_ids" in made else _length(asked))}


def _heard(asked: Asked, _: Mapping[str, Any]) -> Any:
    return {"labels": asked.full(HEARD, value=min(7, number(asked.text, "vocab_size", default=32) - 1))}


def _same_ids(asked: Asked, made: Mapping[str, Any]) -> Any:
    if asked.config.model_type == "kyutai_speech_to_text":
        return {"labels": made["input_ids"][..., 0].clone()}
    if "decoder_input_ids" in made and made["decoder_input_ids"].dim() == 3:  # of each channel
        return {"labels": made["decoder_input_ids"].transpose(1, 2).reshape(-1, asked.seq).clone()}
    return {"labels": made["input_ids"].clone() if "input_ids" in made else _ids(asked)}


#: How the names of classes end that take images.
IMAGES = ("ForImageClassification", "ForImageClassificationLearned", "ForImageClassificationFourier")

Labels = Callable[[Asked, Mapping[str, Any]], Any]

#: Labels by how the class's name ends; what takes `labels` otherwise gets token ids.
LABELS: tuple[tuple[tuple[str, ...], Labels], ...] = (
    (("ForQuestionAnswering",), _spans),
    (("ForTokenClassification", "ForAudioFrameClassification"), _tokens),
    (("ForSequenceClassification", "ForAudioClassification", "ForVideoClassification", *IMAGES), _classes),
    (("ForObjectDetection",), _boxes),
    (("ForSemanticSegmentation",), _maps),
    (("ForUniversalSegmentation", "ForInstanceSegmentation"), _segments),
    (("ForMaskedImageModeling",), _hidden),
    (("ForCTC",), _heard),
)


def _labels(asked: Asked, made: Mapping[str, Any]) -> dict[str, Any]:
    makes = next((make for endings, make in LABELS if asked.of(*endings)), _same_ids)
    return {name: value for name, value in makes(asked, made).items() if name in asked.takes}


def _where_images_go(asked: Asked, length: int) -> Any:
    return (torch.arange(length) < asked.config.latent_query_num).expand(asked.batch, length).clone()


#: Regions of an image that a detector found, as LXMERT and VisualBERT were trained.
REGIONS = 36

#: What some classes take beside the ids of a text, by the name and the text's length.
BESIDE_IDS: dict[str, Callable[[Asked, int], Any]] = {
    "bbox": lambda asked, length: torch.full((asked.batch, length, 4), 0.5 if "visual_bbox" in asked.takes else 1),
    "qformer_input_ids": lambda asked, length: asked.full(length, value=7),
    "image_embeds_position_mask": _where_images_go,
    "visual_feats": lambda asked, _: asked.floats(REGIONS, asked.config.visual_feat_dim),
    "visual_pos": lambda asked, _: asked.floats(REGIONS, asked.config.visual_pos_dim),
    "state": lambda asked, _: asked.floats(asked.config.max_state_dim),  # a robot's, and what it is to do
    "actions": lambda asked, _: asked.floats(asked.config.chunk_size, asked.config.max_action_dim),
}

# --- all of it


@dataclass(frozen=True)
class Sense:
    """What a text's model takes beside text: its input, what makes features of it, and whose places they take."""

    input: str
    features: str  # the model's method
    tokens: tuple[str, ...]  # what a config may call the id that stands where a feature goes

    def token(self, config: Any) -> int:
        """The id; -1 where the config has none."""
        found = (getattr(config, name, None) for name in self.tokens)
        return next((each for each in found if isinstance(each, int)), -1)


SENSES = (
    Sense("pixel_values", "get_image_features", ("image_token_id", "image_token_index")),
    Sense("pixel_values", "get_video_features", ("video_token_index",)),
    Sense("input_features", "get_audio_features", ("audio_token_id", "audio_token_index")),
    Sense("input_values", "get_audio_features", ("audio_token_id",)),
)


#: Types whose text is as long as what is heard, and added to it.
ALONGSIDE = frozenset(["voxtral_realtime"])


def sense_of(config: Any, made: Mapping[str, Any]) -> Sense | None:
    """Of what the batch has features are made that go to tokens of the text."""
    along = config.model_type in ALONGSIDE
    return next((each for each in SENSES if each.input in made and (along or each.token(config) >= 0)), None)


#: Types that hear a text's words, or read them, but not both at once.
NO_TEXT = frozenset(["pop2piano"])


def _text(asked: Asked, made: Mapping[str, Any], features: int) -> dict[str, Any]:
    """The ids, so many of which stand for features, and what goes with them."""
    takes, ids = asked.takes, _ids(asked)
    found: dict[str, Any] = {}
    if sense := sense_of(asked.config, made):
        token = sense.token(asked.config)
        if asked.config.model_type in ALONGSIDE:
            return {"input_ids": ids[:, :1].expand(-1, max(features, 1)).clone()}
        ids = torch.cat([asked.full(features, value=token), ids], 1)
        found = {name: (ids == token).long() for name in ("mm_token_type_ids", "token_type_ids") if name in takes}
        if "feature_attention_mask" in made:  # Qwen2-Audio, which asks where a text begins
            found["attention_mask"] = torch.ones_like(ids)
    elif "image_embeds_position_mask" in takes:
        ids = torch.cat([ids[:, :1].expand(-1, asked.config.latent_query_num), ids], 1)
    if asked.config.model_type == "dia":  # what is said, in each channel
        found["decoder_input_ids"] = asked.full(asked.seq, asked.config.decoder_config.num_channels, value=7)
    beside = {name: make(asked, ids.shape[1]) for name, make in BESIDE_IDS.items() if name in takes}
    return {"input_ids": ids, **found, **beside}


def batch_of(asked: Asked, features: int = 0) -> dict[str, Any]:
    """The batch, with so many tokens of each sequence in place of the features of an image or of sound."""
    takes = asked.takes
    made: dict[str, Any] = {}
    without = {side for side in ("vision_config", "audio_config") if getattr(asked.config, side, side) is None}
    images = next((make for name, make in SPECIAL.items() if name in takes), None)
    if images and "vision_config" not in without:
        made.update(images(asked))
    elif takes & {"input_features", "input_values"} and "audio_config" not in without:
        made.update(make_sound(asked))
    if "input_ids" in takes and not (made and asked.config.model_type in NO_TEXT):
        made.update(_text(asked, made, features))
    if "inputs" in takes and not made:  # as Perceiver calls all of them
        made["inputs"] = asked.floats(*image_shape(asked)) if asked.of(*IMAGES) else _ids(asked)
    if "return_loss" in takes:
        made["return_loss"] = True
    made.update(_labels(asked, made))
    return made
