"""Count every storage on the fake CUDA device, from the op that made it to its end."""

import sys
import weakref

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten

# What a new storage is called when nothing better is known: its phase's name.
PHASE_CATEGORY = {"forward": "activation", "optimizer": "optimizer_temp"}

# The backward formulas of indexing, index_select, gather, topk and sort write in place on
# ordinary tensors and out of place on tensor subclasses (fake ones too).
IN_PLACE = {
    aten.index_put.default: aten.index_put_.default,
    aten.index_add.default: aten.index_add_.default,
    aten.scatter_add.default: aten.scatter_add_.default,
    aten.scatter.src: aten.scatter_.src,
}

# These work in place and return nothing, but a fake tensor does not know it.
NO_SHAPE_FUNCTION = {aten._fused_sgd_.default, aten._fused_adagrad_.default}


LABELLED = None  # tokens of a row that have a label, where those of a prompt have none


def _selected(tensor, indices, known=None):
    """x[mask]: as many as are known to be chosen; else nothing is masked, or all but so many columns."""
    mask = indices[0]
    count = mask.numel() if LABELLED is None else mask.shape[0] * min(mask.shape[1], LABELLED)
    return tensor.new_empty(count if known is None else known, *tensor.shape[mask.dim():])


def _put(tensor, indices, put, accumulate=False):
    """What adds up is a backward formula that writes in place; what is not added is put into a copy."""
    return tensor if accumulate else tensor.clone()


# Indexing by a mask takes a number of elements that is a matter of values.
BY_MASK = {
    aten.index.Tensor: _selected,
    aten.index_put.default: _put,
    aten.index_put_.default: lambda tensor, *_: tensor,
    aten._index_put_impl_.default: lambda tensor, *_: tensor,
}


class Block:
    """One storage: its number, bytes and the op, shape and dtype it was made with."""

    __slots__ = ("number", "bytes", "op", "shape", "dtype", "category")

    def __init__(self, number, size, op, tensor, category):
        self.number, self.bytes, self.op, self.category = number, size, op, category
        self.shape, self.dtype = list(tensor.shape), str(tensor.dtype).removeprefix("torch.")


def _from_engine(frame):
    """True if autograd's C++ engine asked for this op, not Python code."""
    return frame is None or frame.f_code.co_name == "_engine_run_backward"


def _sums_in_place(first, second):
    """True if the engine would add a tensor's second gradient into its first.

    It does when nobody else holds the first (input_buffer.cpp), but never for
    tensor subclasses, so the counts that it looks at are read here: what this
    dispatch itself holds makes 4 for the tensor and 2 for the storage.
    """
    return (isinstance(second, torch.Tensor) and first.is_contiguous() and first._use_count() <= 4
            and torch._C._storage_Use_Count(first.untyped_storage()._cdata) <= 2)


class Counter(TorchDispatchMode):
    """Log allocations (+block), releases (-block) and phases, in order.

    `log` holds ("+", block, op, bytes), ("-", block, op, bytes), ("resize", block,
    op, change) and ("phase", name, step, 0).
    """

    @classmethod
    def _should_skip_dynamo(cls):
        """No wrapper around `__torch_dispatch__`: its caller must be one frame up."""
        return False

    def __init__(self, values=None):
        super().__init__()
        self.values = values  # of what a model reads back, where it does (values.py)
        self.log, self.live, self.ops = [], {}, 0
        self.made, self.op = 0, ""
        self.blind = 0  # above zero while ops are tried that allocate nothing
        self.phase("model", 0)

    def phase(self, name, step):
        """Begin a phase; what is allocated from now on belongs to it."""
        self.category = PHASE_CATEGORY.get(name, name)
        self.log.append(("phase", name, step, 0))

    def label(self, tensors, category):
        """Say what the storages of these tensors are for."""
        for tensor in tensors:
            block = self.live.get(tensor.untyped_storage()._cdata)
            if block:
                block.category = category

    def _release(self, key):
        block = self.live.pop(key)
        self.log.append(("-", block, self.op, block.bytes))

    def resized(self, storage):
        """Note that a storage was freed or refilled in place."""
        block = self.live.get(storage._cdata)
        if block:
            self.log.append(("resize", block, "resize_", storage.nbytes() - block.bytes))
            block.bytes = storage.nbytes()

    def _see(self, tensor):
        """Count the storage of an op's result, if it is new."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self.live:
            return
        block = Block(self.made, storage.nbytes(), self.op, tensor, self.category)
        self.made += 1
        self.live[key] = block
        self.log.append(("+", block, self.op, block.bytes))
        weakref.finalize(storage, self._release, key).atexit = False

    def _instead(self, func, args, kwargs, caller):
        """Do what real tensors do where fake ones differ: (done, result)."""
        if func is aten._local_scalar_dense.default and isinstance(args[0], FakeTensor):
            number = self.values.number(args[0]) if self.values else None
            if number is not None:
                return True, number
            # Positions form one sequence and nothing is masked; numbers are 1.
            return True, True if args[0].dtype == torch.bool else 1.0
        if func in NO_SHAPE_FUNCTION:
            return True, None
        if func is aten.equal.default or func is aten.is_pinned.default:
            return True, True  # DDP's reducer asks of what it has put into pinned memory
        if func in BY_MASK and any(i is not None and i.dtype == torch.bool for i in args[1]):
            if func is aten.index.Tensor:
                return True, _selected(*args, self.values and self.values.count(args[1][0]))
            return True, BY_MASK[func](*args)
        if torch.is_grad_enabled() or not _from_engine(caller):
            return False, None
        if func in IN_PLACE:
            IN_PLACE[func](*args, **kwargs)
            return True, args[0]
        if func is aten.add.Tensor and _sums_in_place(*args):
            return True, args[0].add_(args[1])
        return False, None

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if any(issubclass(t, DTensor) for t in types):
            return NotImplemented  # it will come back as ops on this rank's part
        if self.blind:
            return func(*args, **kwargs)
        if func is torch.ops.prim.device.default:
            self.ops += 1
            return func(*args)  # a question, not something that could free memory
        self.op = str(func)
        values = self.values.compute(func, args, kwargs) if self.values else None
        result = None if values is None else self.values.shaped(func, args, values)
        done = result is not None
        if not done:
            done, result = self._instead(func, args, kwargs, sys._getframe().f_back)
        if not done:
            self.ops += 1
            result = func(*args, **kwargs)
        if values is not None:
            self.values.note(result, values)
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor) and leaf.device.type == "cuda":
                self._see(leaf)
        return result
