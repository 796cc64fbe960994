"""One rank of many: FSDP2 and HSDP in one process, on a process group that does nothing.

`ranks` says how many ranks shard the model (`fsdp`) and how many groups of them
hold copies of each other (`replicate`).
"""

import contextlib
import types

import torch
import torch.distributed as dist
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.utils._python_dispatch import _disable_current_modes

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32, "fp16": torch.float16}


class _Stream:
    """A stream or an event: nothing runs, so there is nothing to wait for."""

    def __init__(self, *args, **kwargs):
        self.device = torch.device("cuda", 0)

    def record(self, *args, **kwargs):
        return self

    def _ignore(self, *args, **kwargs):
        return None

    record_event = record
    wait = wait_event = wait_stream = synchronize = _ignore

    def query(self):
        return True


def _streams():
    """FSDP asks torch.cuda for streams and events, which a CPU build lacks."""
    one = _Stream()
    cuda = torch.cuda
    cuda.Stream = cuda.Event = _Stream
    cuda.current_stream = cuda.default_stream = torch.accelerator.current_stream = lambda *a, **k: one
    cuda.stream = lambda *a, **k: contextlib.nullcontext()
    cuda.current_device = lambda: 0
    cuda.device_count = lambda: 1
    cuda.set_device = cuda.synchronize = lambda *a, **k: None


def _propagator():
    """Sharding rules try ops on whole shapes: no memory of a rank, so not counted."""
    from torch.distributed.tensor._sharding_prop import ShardingPropagator
    for name in ("_propagate_tensor_meta_non_cached", "_propagate_tensor_meta"):
        inner = getattr(ShardingPropagator, name)
        setattr(ShardingPropagator, name, _uncounted(inner))


def _uncounted(inner):
    def call(*args, **kwargs):
        counter = _uncounted.counter
        counter.blind += 1
        try:
            return inner(*args, **kwargs)
        finally:
            counter.blind -= 1
    return call


def _resizes():
    """FSDP frees and refills storages in place."""
    inner = torch.UntypedStorage.resize_

    def resize_(storage, size):
        result = inner(storage, size)
        _uncounted.counter.resized(storage)
        return result

    torch.UntypedStorage.resize_ = resize_


def _moves():
    """A fake tensor keeps its device, whatever its data are."""
    from torch.distributed.fsdp._fully_shard import _fsdp_init

    def move(params, buffers, device):
        for tensor in (*params, *buffers):
            if tensor.device.type == "cpu":
                tensor.data = tensor.detach().to(device)
                tensor.fake_device = torch.device("cuda", 0)

    _fsdp_init._move_states_to_device = move


_installed = types.SimpleNamespace(done=False)


def install(counter):
    """Apply the patches once; they report to this run's counter."""
    _uncounted.counter = counter
    if not _installed.done:
        _streams()
        _propagator()
        _resizes()
        _moves()
        _installed.done = True


def mesh_of(ranks):
    """A device mesh over ranks that do not exist."""
    from torch.testing._internal.distributed.fake_pg import FakeStore
    shape = [ranks[name] for name in ("replicate", "fsdp") if name in ranks]
    names = tuple(name for name in ("replicate", "fsdp") if name in ranks)
    world = 1
    for size in shape:
        world *= size
    if dist.is_initialized():
        dist.destroy_process_group()
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=world)
    with _disable_current_modes():  # a mesh reads its own rank numbers: no fake tensor
        return dist.init_device_mesh("cuda", tuple(shape), mesh_dim_names=names)


def _layers(module):
    """The blocks of the model, of both stacks where it has two: what is in its outermost lists of modules."""
    if isinstance(module, torch.nn.ModuleList):
        yield from module
        return
    for child in module.children():
        yield from _layers(child)


def _policy(case):
    """What to compute and to reduce in: as `ranks` says, or fp32 shards in bf16 for the precision bf16-fsdp."""
    ranks = case["ranks"]
    whole = {"param_dtype": "bf16", "reduce_dtype": case.get("reduce", "fp32")}
    named = whole if case["precision"] == "bf16-fsdp" else ranks
    return MixedPrecisionPolicy(**{k: DTYPES[named[k]] for k in whole if k in named})


def shard(model, case):
    """Make each layer a unit and the rest one more."""
    options = {"mesh": mesh_of(case["ranks"]), "mp_policy": _policy(case),
               "reshard_after_forward": case.get("reshard_after_forward", True)}
    for layer in _layers(model):
        fully_shard(layer, **options)
    fully_shard(model, **options)
    return model
