"""One rank of DistributedDataParallel: its real reducer, beside ranks that do not exist.

`ranks` says how many there are (`ddp`), how large a bucket is (`bucket_mb`, the default is
PyTorch's) and whether gradients look into the buckets (`bucket_view`). `find_unused` says whether it looks for unused parameters (the default is the trainer's).
"""

import contextlib
import types

import torch
import torch.distributed as dist
import torch.nn.parallel.distributed as ddp
import transformers
from torch._C._distributed_c10d import _create_work_from_future
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from cases import stays_on_host
from device import HAS_KERNELS

aten = torch.ops.aten


def _done(result):
    """The work of a collective that is over as soon as it is asked for."""
    future = torch.futures.Future()
    future.set_result(result)
    return _create_work_from_future(future)


class _Group(dist.ProcessGroup):
    """Ranks that agree. (The future of torch's own fake group holds no tensors, which the reducer asks for.)"""

    def allreduce(self, tensors, options=None):
        return _done(tensors)

    broadcast = allreduce


class _Values(TorchDispatchMode):
    """Tensors on the CPU have values here: the reducer writes bucket numbers into them and reads them back."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is aten.empty.memory_format and kwargs.get("device", None) in (None, torch.device("cpu")):
            return _really(func, args, kwargs)
        if func is aten.copy_.default and not all(isinstance(t, FakeTensor) for t in args[:2]):
            return args[0]  # between a value and a fake: what rank 0 broadcasts is what it has
        return func(*args, **kwargs)


class UsedParameters(TorchDispatchMode):
    """Beneath the counter: the reducer's map of used parameters, numbers on the CPU, has values too."""

    def __init__(self):
        super().__init__()
        self.maps = []

    def _is_map(self, x):
        return isinstance(x, torch.Tensor) and x.untyped_storage()._cdata in self.maps

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is aten.zeros.default and kwargs == {"dtype": torch.int32}:
            map_ = _really(func, args, kwargs)
            self.maps.append(map_.untyped_storage()._cdata)
            return map_
        if not any(map(self._is_map, args)):
            return func(*args, **kwargs)
        if any(isinstance(x, FakeTensor) for x in args):
            return args[0]  # copied to the device or back: all ranks have used the same
        return _really(func, args, kwargs)


def _really(func, args, kwargs):
    with _disable_current_modes():
        return func(*args, **kwargs)


class _Reducer:
    """The real reducer, its numbers of buckets kept in real tensors."""

    def __init__(self, inner, counter):
        self._inner, self._counter = inner, counter

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def _rebuild_buckets(self):
        with _Values(), _named(self._counter, "bucket"):
            return self._inner._rebuild_buckets()


@contextlib.contextmanager
def _named(counter, category):
    """What is allocated in between is for this."""
    outer, counter.category = counter.category, category
    yield
    counter.category = outer


def replicate(model, case, counter):
    """Wrap a model; every rank has all of it."""
    ranks = case["ranks"]
    options = {"bucket_cap_mb": ranks["bucket_mb"]} if "bucket_mb" in ranks else {}
    options["find_unused_parameters"] = finds_unused(case, model)
    ddp._verify_param_shape_across_processes = lambda *a, **k: None  # compares shapes as values
    with _named(counter, "bucket"):
        wrapped = ddp.DistributedDataParallel(model, process_group=_Group(0, ranks["ddp"]),
                                              gradient_as_bucket_view=bool(ranks.get("bucket_view")), **options)
    if HAS_KERNELS:
        return wrapped
    wrapped.reducer = _Reducer(wrapped.reducer, counter)
    # It logs times, for which a CPU build has no clock of the device; the reducer knows the real one.
    wrapped.unused_logger = wrapped.logger
    wrapped.logger = types.SimpleNamespace(set_runtime_stats_and_log=lambda: None)
    return wrapped


def finds_unused(case, model):
    """What transformers.Trainer asks for (_build_accelerator_args): not where checkpoints of a model of its own forbid it."""
    asked = case["ranks"].get("find_unused")
    if asked is not None or case.get("trainer", "loop") == "loop":
        return bool(asked)
    return not (isinstance(model, transformers.PreTrainedModel) and case.get("checkpointing"))


def synchronized(model, case, last):
    """The context of one micro-batch: with `no_sync`, and in a trainer, gradients are reduced after the last one only."""
    if stays_on_host(case):  # Accelerator.no_sync of FSDP2
        model.set_requires_gradient_sync(last)
    if "ddp" not in case.get("ranks", {}) or last:
        return contextlib.nullcontext()
    return model.no_sync() if case.get("no_sync") or "trainer" in case else contextlib.nullcontext()
