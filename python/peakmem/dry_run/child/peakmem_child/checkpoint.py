"""Checkpoints of zeros that take no disk, for from_pretrained to load as it does: sparse safetensors files of a config's
shapes. Only where they are asked for."""

from __future__ import annotations

import importlib
import json
import tempfile
from pathlib import Path
from typing import Any, Dict

#: safetensors' names of dtypes.
NAMES = {"bfloat16": "BF16", "float16": "F16", "float32": "F32", "int64": "I64", "int32": "I32", "bool": "BOOL"}


def write(model: Any, folder: Path) -> None:
    """The weights of a model on the meta device, those that are tied once."""
    header: Dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, tensor in {id(t): (n, t) for n, t in reversed(model.state_dict(keep_vars=True).items())}.values():
        size = tensor.numel() * tensor.element_size()
        kind = NAMES[str(tensor.dtype).partition(".")[2]]
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    with open(folder / "model.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + at)


def empty(cls: Any, config: Any, dtype: Any, folder: Path) -> None:
    """A checkpoint that `cls` loads: in the dtype that the config says, or bf16."""
    torch = importlib.import_module("torch")
    named = getattr(config, "dtype", None) or getattr(config, "torch_dtype", None) or torch.bfloat16
    with torch.device("meta"):
        model = cls(config).to(dtype if isinstance(dtype, torch.dtype) else named)
    write(model, folder)
    config.architectures = [cls.__name__]
    config.save_pretrained(folder)


def need_no_weights(modeling_utils: Any) -> None:
    """Patches transformers.modeling_utils: a model is loaded from zeros, whatever lies where it should be loaded from."""
    model = modeling_utils.PreTrainedModel
    original = model.from_pretrained.__func__

    def from_pretrained(cls: Any, /, pretrained_model_name_or_path: Any, *args: Any, config: Any = None, **kwargs: Any) -> Any:
        if config is None or isinstance(config, str):
            config = cls.config_class.from_pretrained(config or pretrained_model_name_or_path)
        with tempfile.TemporaryDirectory(prefix="peakmem-empty-") as folder:
            empty(cls, config, kwargs.get("dtype", kwargs.get("torch_dtype")), Path(folder))
            loaded = original(cls, folder, *args, config=config, **kwargs)
        loaded.config._name_or_path = str(pretrained_model_name_or_path)
        return loaded

    model.from_pretrained = classmethod(from_pretrained)
