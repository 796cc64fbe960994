"""Images and videos of a batch, as each class of transformers takes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from ._asked import Asked, number

#: Patches of an image, each way, where a model takes images of any size as rows of patches.
GRID = 8

def image_side(asked: Asked) -> Any:
    side = asked.side("vision_config", "vision_tower_config", "backbone_config", "encoder", "vlm_config")
    return getattr(side, "vision_config", None) or side


def image_shape(asked: Asked) -> tuple[int, int, int]:
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
    frames = number(side, "temporal_patch_size", "patch_temporal", default=1)
    return number(side, "patch_size", "spatial_patch_size", default=14), frames


def _videos(asked: Asked) -> dict[str, Any]:
    frames = number(image_side(asked), "frames_per_clip", "num_frames", default=16)
    return {"pixel_values_videos": asked.floats(frames, *image_shape(asked))}


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
        "pixel_values": asked.floats(1, tiles, *image_shape(asked)),
        "aspect_ratio_ids": asked.full(1, value=1),
        "aspect_ratio_mask": asked.full(1, tiles, value=1),
    }


def _packed(asked: Asked) -> dict[str, Any]:
    """The patches of all images one after the other, and how many each image has."""
    side, (patch, frames) = image_side(asked), _patch(asked)
    channels = image_shape(asked)[0]
    shape: tuple[int, ...] = (channels * frames * patch * patch,)
    if asked.config.model_type in SQUARE_PATCHES:
        shape = (channels, patch, patch)
    elif asked.config.model_type == "inkling2":  # a patch is a token
        wide = patch * number(side, "spatial_merge_size", default=1)
        shape = (wide, wide, channels)
    found = {"pixel_values": torch.empty(asked.batch * GRID * GRID, *shape, device="meta")}
    if "image_grid_hw" in asked.takes:
        return {**found, "image_grid_hw": asked.full(2, value=GRID)}
    if "image_merge_sizes" in asked.takes:
        found["image_merge_sizes"] = asked.full(value=1)
    return {**found, "image_grid_thw": torch.tensor([[1, GRID, GRID]] * asked.batch)}


def _pooled(asked: Asked) -> dict[str, Any]:
    """Crops as rows of patches, and which of those each token is pooled of: of two by two (Molmo 2)."""
    channels, height, width = image_shape(asked)
    patch, _ = _patch(asked)
    rows, columns = height // patch, width // patch
    tokens = (-(-rows // 2), -(-columns // 2))
    return {
        "pixel_values": asked.floats(rows * columns, channels * patch * patch),
        "image_token_pooling": torch.zeros(asked.batch * math.prod(tokens), 4, dtype=torch.long),
        "image_grids": torch.tensor([[*tokens, 0, 0]] * asked.batch),
    }


def _patches(asked: Asked) -> dict[str, Any]:
    """An image cut into patches (Fuyu); or patches of a few frames, each of which becomes one token (Inkling)."""
    channels, height, width = image_shape(asked)
    patch, frames = _patch(asked)
    if asked.config.model_type == "fuyu":
        return {"pixel_values": asked.floats((height // patch) * (width // patch), channels * patch * patch)}
    many = asked.batch * GRID * GRID
    return {"pixel_values": torch.empty(many, frames, patch, patch, channels, device="meta")}


def _pixels(asked: Asked) -> dict[str, Any]:
    channels, height, width = image_shape(asked)
    takes, kind = asked.takes, asked.config.model_type
    if takes & {"image_grid_thw", "image_grid_hw"}:
        return _packed(asked)
    if kind in PATCHES:
        return _patches(asked)
    several = SEVERAL_IMAGES.get(kind)
    frames = number(asked.config, "num_frames", "frames_per_clip", default=0) if asked.of("ForVideoClassification") else 0
    several = several or frames
    found = {"pixel_values": asked.floats(*([several] if several else []), channels, height, width)}
    if kind in WHICH_IMAGES:
        found["pixel_attention_mask"] = torch.ones(asked.batch, several or 1, dtype=torch.bool)
    if "image_attention_mask" in takes:  # which images each token of the text sees
        found["image_attention_mask"] = asked.full(asked.seq, several or 1, value=1)
    if "high_res_pixel_values" in takes:  # by another model
        wide = number(asked.config.high_res_vision_config, "image_size", default=1024)
        found["high_res_pixel_values"] = asked.floats(channels, wide, wide)
    if "image_sizes" in takes and (kind in SIZED or getattr(image_side(asked), "model_type", "") == "pixtral"):
        found["image_sizes"] = torch.tensor([[height, width]] * asked.batch)
    return found


#: Types whose packed patches are squares, and those whose images are patches that have no grid.
SQUARE_PATCHES = frozenset("kimi_k25 paddleocr_vl".split())
PATCHES = frozenset("fuyu inkling_mm_model".split())

#: Types whose `pixel_attention_mask` says which images there are; others' says which pixels.
WHICH_IMAGES = frozenset("granite_docling pi0".split())

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
    "granite_docling": 1,
    "pi0": 1,
    "instructblipvideo": 4,
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
    "image_token_pooling": _pooled,
    "pixel_values": _pixels,
    "pixel_values_videos": _videos,
}
