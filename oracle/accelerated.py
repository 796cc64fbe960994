"""One rank of FSDP2 as transformers.Trainer has it: accelerate's own fsdp2_prepare_model makes the units, in one process, on
a process group that does nothing.

A case with a trainer and `"ranks": {"fsdp": 8}`. Autocast is what `bf16=True` says, which accelerate makes a policy of.
"""

import types

import torch
from accelerate import FullyShardedDataParallelPlugin
from accelerate.utils.fsdp_utils import fsdp2_prepare_model

from cases import autocast_dtype
from ranks import mesh_of

PRECISION = {torch.bfloat16: "bf16", torch.float16: "fp16", None: "no"}


def shard(model, case):
    """What Accelerator._prepare_fsdp2 does to a model."""
    plugin = FullyShardedDataParallelPlugin(fsdp_version=2, auto_wrap_policy="transformer_based_wrap",
                                            reshard_after_forward=case.get("reshard_after_forward", True))
    precision = PRECISION[autocast_dtype(case)]
    if precision != "no":
        plugin.set_mixed_precision(precision)
    accelerator = types.SimpleNamespace(
        state=types.SimpleNamespace(fsdp_plugin=plugin), mixed_precision=precision, is_main_process=False,
        device=torch.device("cuda"), torch_device_mesh=mesh_of(case["ranks"]),
        parallelism_config=types.SimpleNamespace(fsdp_dim_names=("fsdp",)))
    return fsdp2_prepare_model(accelerator, model)
