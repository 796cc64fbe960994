"""A batch for a model of transformers: what its forward pass takes, in the sizes that its config wants.

Ids, masks and sizes are real, so that what looks at them finds values; large images and long sound are of the meta device,
which has none.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ._values import KEPT

#: Seconds of sound, at the usual 16,000 samples, and frames of a spectrogram where a model takes any number.
SAMPLES, FRAMES = 16_000, 400
#: Labels of a text that a recognizer hears.
HEARD = 20
#: Patches of an image, each way, where a model takes images of any size as rows of patches.
GRID = 8


@dataclass(frozen=True)
class Asked:
    """A model's class and config, and how many sequences (or images) of how many tokens it is to be given."""

    kind: Any
    config: Any
    batch: int
    seq: int

    @property
    def takes(self) -> frozenset[str]:
        """The parameters of its forward pass."""
        return frozenset(inspect.signature(self.kind.forward).parameters)

    @property
    def text(self) -> Any:
        """The config of its text's side."""
        return self.config.get_text_config() if hasattr(self.config, "get_text_config") else self.config

    def side(self, *names: str) -> Any:
        """The config inside it of one of these names; else itself."""
        return next((each for name in names if (each := getattr(self.config, name, None)) is not None), self.config)

    def full(self, *shape: int, value: int = 0) -> Any:
        """Whole numbers, one for each of a batch."""
        return torch.full((self.batch, *shape), value, dtype=torch.long)

    def floats(self, *shape: int) -> Any:
        """Numbers, one for each of a batch: none is padding. Many have no values."""
        if self.batch * math.prod(shape) <= KEPT:
            return torch.ones(self.batch, *shape)
        return torch.empty(self.batch, *shape, device="meta")


def number(config: Any, *names: str, default: int) -> int:
    """The first number that a config has by one of these names; of several the first."""
    for name in names:
        value = getattr(config, name, None)
        if isinstance(value, Mapping):
            value = value.get("height") or next(iter(value.values()), None)
        if isinstance(value, (list, tuple)) and value:
            value = value[0]
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
            return int(value)
    return default


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
    separator = getattr(asked.config, "sep_token_id", None)
    if isinstance(separator, int) and _of(asked, "ForQuestionAnswering"):  # question, twice the end of it, context, end
        ids[:, [2, 3, -1]] = separator
    return ids


# --- images


def image_side(asked: Asked) -> Any:
    side = asked.side("vision_config", "vision_tower_config", "backbone_config", "encoder")
    return getattr(side, "vision_config", None) or side


def _image(asked: Asked) -> tuple[int, int, int]:
    """Channels, height and width."""
    side = image_side(asked)
    channels = number(side, "num_channels", "in_channels", "in_chans", default=0)
    channels = channels or number(asked.config, "num_channels", "num_input_channels", default=3)
    size = getattr(side, "image_size", None) or getattr(asked.config, "image_size", None)
    if isinstance(size, Mapping):
        size = [size.get("height", 224), size.get("width", 224)]
    if isinstance(size, Sequence) and len(size) == 2:
        return channels, int(size[0]), int(size[1])
    side_length = number(side, "image_size", "img_size", "input_size", "crop_size", default=0) or number(asked.config, "image_size", default=224)
    return channels, side_length, side_length


def _patch(asked: Asked) -> tuple[int, int]:
    """Pixels of a patch, and frames of one."""
    side = image_side(asked)
    return number(side, "patch_size", "spatial_patch_size", default=14), number(side, "temporal_patch_size", default=1)


def _videos(asked: Asked) -> dict[str, Any]:
    frames = number(image_side(asked), "frames_per_clip", "num_frames", default=16)
    return {"pixel_values_videos": asked.floats(frames, *_image(asked))}


def _rows(asked: Asked) -> dict[str, Any]:
    """Images as rows of patches, and how many those are each way."""
    side = image_side(asked)
    patch, channels = number(side, "patch_size", default=16), number(side, "num_channels", default=3)
    grid = math.isqrt(number(side, "num_patches", default=GRID * GRID))
    return {
        "pixel_values": asked.floats(grid * grid, channels * patch * patch),
        "pixel_attention_mask": asked.full(grid * grid, value=1),
        "spatial_shapes": asked.full(2, value=grid),
    }


def _flattened(asked: Asked) -> dict[str, Any]:
    """Patches, each behind its row and column (Pix2Struct)."""
    width = number(image_side(asked), "patch_embed_hidden_size", default=768)
    return {"flattened_patches": asked.floats(GRID * GRID, 2 + width)}


def _tiles(asked: Asked) -> dict[str, Any]:
    """One image of each sequence, in as many tiles as a model takes at most (Mllama)."""
    tiles = number(image_side(asked), "max_num_tiles", default=4)
    return {
        "pixel_values": asked.floats(1, tiles, *_image(asked)),
        "aspect_ratio_ids": asked.full(1, value=1),
        "aspect_ratio_mask": asked.full(1, tiles, value=1),
    }


def _pixels(asked: Asked) -> dict[str, Any]:
    channels, height, width = _image(asked)
    takes = asked.takes
    if "image_grid_thw" in takes:
        patch, frames = _patch(asked)
        grid = torch.tensor([[1, GRID, GRID]] * asked.batch)
        rows = torch.empty(asked.batch * GRID * GRID, channels * frames * patch * patch, device="meta")
        return {"pixel_values": rows, "image_grid_thw": grid}
    several = SEVERAL_IMAGES.get(asked.config.model_type)
    frames = number(asked.config, "num_frames", "frames_per_clip", default=0) if _of(asked, "ForVideoClassification") else 0
    if frames and several is None:
        several = frames
    found = {"pixel_values": asked.floats(*([several] if several else []), channels, height, width)}
    if "image_sizes" in takes and (asked.config.model_type in SIZED or getattr(image_side(asked), "model_type", "") == "pixtral"):
        found["image_sizes"] = torch.tensor([[height, width]] * asked.batch)
    return found


#: Types whose images have a dimension more: parts or images of each sequence.
SEVERAL_IMAGES = {
    "idefics": 1,
    "idefics2": 1,
    "idefics3": 1,
    "smolvlm": 1,
    "modernvbert": 1,
    "ultravbert": 1,
    "llava_next": 3,
    "llava_next_video": 3,
    "llava_onevision": 3,
    "granite4_vision": 3,
}

#: Types that want to know an image's size; others take it, and then fail.
SIZED = frozenset(
    "llava_next llava_next_video llava_onevision granite4_vision mistral3 mistral_large4 lighton_ocr emu3".split()
)


#: What a class that takes this argument is given of images, before what others are given.
SPECIAL: dict[str, Callable[[Asked], dict[str, Any]]] = {
    "spatial_shapes": _rows,
    "flattened_patches": _flattened,
    "aspect_ratio_ids": _tiles,
    "pixel_values": _pixels,
    "pixel_values_videos": _videos,
}


# --- sound


def _sound(asked: Asked) -> dict[str, Any]:
    takes, side = asked.takes, asked.side("audio_config", "encoder_config", "encoder")
    if "input_features" not in takes:
        if number(asked.config, "max_length", default=0) and number(asked.config, "num_mel_bins", default=0):
            return {"input_values": asked.floats(asked.config.max_length, asked.config.num_mel_bins)}
        return {"input_values": asked.floats(SAMPLES)}
    mels = number(asked.config, "feature_projection_input_dim", "input_feat_per_channel", "num_mel_bins", default=0)
    mels = mels or number(side, "feature_projection_input_dim", "num_mel_bins", "input_dim", default=80)
    frames = 2 * number(asked.config, "max_source_positions", default=0)
    first = asked.config.model_type in CHANNELS_FIRST
    frames = (frames or 2 * number(side, "max_source_positions", default=1500)) if first else FRAMES
    found = {"input_features": asked.floats(mels, frames) if first else asked.floats(frames, mels)}
    found.update({name: asked.full(frames, value=1) for name in HEARS if name in takes})
    return found


#: Types that take a spectrogram's frequencies before its frames.
CHANNELS_FIRST = frozenset(
    "whisper qwen2_audio voxtral voxtral_realtime audioflamingo3 musicflamingo glmasr moss_transcribe_diarize".split()
)

#: The masks that say which frames are sound.
HEARS = ("input_features_mask", "feature_attention_mask")


# --- labels


def _of(asked: Asked, *endings: str) -> bool:
    return str(asked.kind.__name__).endswith(endings)


def _classes(asked: Asked, _: Mapping[str, Any]) -> Any:
    return {"labels": asked.full()}


def _spans(asked: Asked, _: Mapping[str, Any]) -> Any:
    return {"start_positions": asked.full(value=1), "end_positions": asked.full(value=2)}


def _boxes(asked: Asked, _: Mapping[str, Any]) -> Any:
    box = {"class_labels": torch.zeros(3, dtype=torch.long), "boxes": torch.full((3, 4), 0.5)}
    return {"labels": [dict(box) for _ in range(asked.batch)]}


def _maps(asked: Asked, _: Mapping[str, Any]) -> Any:
    return {"labels": asked.full(*_image(asked)[1:])}


def _segments(asked: Asked, _: Mapping[str, Any]) -> Any:
    size = _image(asked)[1:]
    return {
        "mask_labels": [torch.ones(3, *size) for _ in range(asked.batch)],
        "class_labels": [torch.zeros(3, dtype=torch.long) for _ in range(asked.batch)],
    }


def _hidden(asked: Asked, _: Mapping[str, Any]) -> Any:
    """Which patches are hidden: every second one."""
    side = image_side(asked)
    patches = math.prod(_image(asked)[1:]) // number(side, "patch_size", "encoder_stride", default=16) ** 2
    return {"bool_masked_pos": (torch.arange(patches) % 2 == 0).expand(asked.batch, patches).clone()}


def _tokens(asked: Asked, made: Mapping[str, Any]) -> Any:
    return {"labels": asked.full(made["input_ids"].shape[1] if "input_ids" in made else _length(asked))}


def _heard(asked: Asked, _: Mapping[str, Any]) -> Any:
    return {"labels": asked.full(HEARD, value=min(7, number(asked.text, "vocab_size", default=32) - 1))}


def _same_ids(asked: Asked, made: Mapping[str, Any]) -> Any:
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
    makes = next((make for endings, make in LABELS if _of(asked, *endings)), _same_ids)
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
    Sense("input_features", "get_audio_features", ("audio_token_id", "audio_token_index")),
)


def sense_of(config: Any, made: Mapping[str, Any]) -> Sense | None:
    """Of what the batch has features are made that go to tokens of the text."""
    return next((each for each in SENSES if each.input in made and each.token(config) >= 0), None)


def batch_of(asked: Asked, features: int = 0) -> dict[str, Any]:
    """The batch, with so many tokens of each sequence in place of the features of an image or of sound."""
    takes = asked.takes
    made: dict[str, Any] = {}
    without = {side for side in ("vision_config", "audio_config") if getattr(asked.config, side, side) is None}
    images = next((make for name, make in SPECIAL.items() if name in takes), None)
    if images and "vision_config" not in without:
        made.update(images(asked))
    elif takes & {"input_features", "input_values"} and "audio_config" not in without:
        made.update(_sound(asked))
    if "input_ids" in takes:
        made["input_ids"] = _ids(asked)
        if sense := sense_of(asked.config, made):
            token = sense.token(asked.config)
            here = asked.full(features, value=token)
            made["input_ids"] = torch.cat([here, made["input_ids"]], 1)
            for name in ("mm_token_type_ids", "token_type_ids"):
                if name in takes:
                    made[name] = (made["input_ids"] == token).long()
            if "feature_attention_mask" in made:  # Qwen2-Audio, which asks where a text begins
                made["attention_mask"] = torch.ones_like(made["input_ids"])
        made.update({name: make(asked, made["input_ids"].shape[1]) for name, make in BESIDE_IDS.items() if name in takes})
    if "inputs" in takes and not made:  # as Perceiver calls all of them
        made["inputs"] = asked.floats(*_image(asked)) if _of(asked, *IMAGES) else _ids(asked)
    if "return_loss" in takes:
        made["return_loss"] = True
    made.update(_labels(asked, made))
    return made
