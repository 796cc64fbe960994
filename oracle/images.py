"""What a model of text and images is given besides tokens."""

import torch


def image_inputs(case, config):
    """Images, `images` of them in every sequence, and what tells their tokens from words."""
    vision = config.vision_config
    shape = case["batch"] * case["images"], vision.num_channels, vision.image_size, vision.image_size
    inputs = {"pixel_values": torch.empty(shape, device="cuda")}
    if config.model_type in ("gemma3", "paligemma"):
        inputs["token_type_ids"] = torch.zeros(case["batch"], case["seq"], dtype=torch.long, device="cuda")
    return inputs
