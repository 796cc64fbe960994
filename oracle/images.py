"""What a model of text and images is given besides tokens."""

import torch


def image_inputs(case, config):
    """Images, `images` of them in every sequence, and what tells their tokens from words."""
    if case.get("image_tokens"):
        return patches(case, config)
    vision = config.vision_config
    shape = case["batch"] * case["images"], vision.num_channels, vision.image_size, vision.image_size
    inputs = {"pixel_values": torch.empty(shape, device="cuda")}
    if config.model_type in ("gemma3", "paligemma"):
        inputs["token_type_ids"] = torch.zeros(case["batch"], case["seq"], dtype=torch.long, device="cuda")
    return inputs


def grid_of(tokens):
    """Rows and columns of so many tokens, as square as they come."""
    rows = next(rows for rows in range(int(tokens**0.5), 0, -1) if tokens % rows == 0)
    return rows, tokens // rows


def patches(case, config):
    """Images of any size, as Qwen2-VL is given them: their patches in a row, and each one's grid."""
    vision, images = config.vision_config, case["batch"] * case["images"]
    rows, columns = grid_of(case["image_tokens"])
    merged = vision.spatial_merge_size
    width = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    kinds = ([0] + [1] * case["image_tokens"]) * case["images"]  # a word before each image
    kinds += [0] * (case["seq"] - len(kinds))
    inputs = {
        "pixel_values": torch.empty(images * rows * columns * merged**2, width, device="cuda"),
        "image_grid_thw": torch.tensor([[1, merged * rows, merged * columns]] * images, device="cuda"),
        "mm_token_type_ids": torch.tensor([kinds] * case["batch"], device="cuda"),
    }  # fmt: skip
    if hasattr(vision, "deepstack_visual_indexes"):  # layers look for the places of images
        ids = [config.image_token_id if kind else 0 for kind in kinds]
        inputs["input_ids"] = torch.tensor([ids] * case["batch"], device="cuda")
    return inputs
