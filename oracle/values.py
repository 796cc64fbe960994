"""Values of the few small integer tensors that a model reads back: which patches are whose image's.

On shapes alone nothing has a value. Models that cut a sequence of patches by the grids of their images ask for those, as
lists, and go on with them; so what is made of numbers that are known is computed beside, on the host.
"""

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.weak import WeakIdKeyDictionary

aten = torch.ops.aten

LARGEST = 1 << 16  # elements
MADE_OF_NUMBERS = {aten.arange.default, aten.arange.start, aten.arange.start_step}
# What these give is as long as values say.
AS_LONG_AS_VALUES_SAY = {aten.repeat_interleave.Tensor, aten.index.Tensor, aten.unique_consecutive.default, aten.nonzero.default}


def _number(tensor):
    return tensor.item() if tensor.is_floating_point() else int(tensor.item())


def _tensor_of_numbers(data, *, made=torch.tensor, **options):
    """torch.tensor of a list in which tensors stand for numbers; torch's own reads them where no mode sees it."""
    if isinstance(data, list):
        data = [_number(x) if isinstance(x, torch.Tensor) else x for x in data]
    return made(data, **options)


class Values:
    """What is known of which tensor."""

    def __init__(self):
        self.known = WeakIdKeyDictionary()
        torch.tensor = _tensor_of_numbers  # a case has a process of its own

    def of(self, tensor):
        """The tensor's values, or None."""
        real = not isinstance(tensor, FakeTensor) and tensor.device.type == "cpu"
        return tensor if real else self.known.get(tensor)

    def number(self, tensor):
        """That of a tensor of one element, or None."""
        value = self.of(tensor)
        with _disable_current_modes():
            return None if value is None else value.item()

    def count(self, mask):
        """How many of a mask's elements are true, or None."""
        value = self.of(mask)
        with _disable_current_modes():
            return None if value is None else int(value.sum())

    def compute(self, func, args, kwargs):
        """The same op on what is known: its result, or None where something is not."""
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        known = [self.of(x) for x in tensors]
        if not tensors and func not in MADE_OF_NUMBERS:
            return None
        if any(x is None or x.is_floating_point() or x.numel() > LARGEST for x in known):
            return None
        args, kwargs = tree_map(self._on_host, (args, kwargs))
        with _disable_current_modes():
            return func(*args, **kwargs)

    def _on_host(self, x):
        if isinstance(x, torch.Tensor):
            return self.of(x)
        return torch.device("cpu") if isinstance(x, torch.device) else x

    def note(self, result, values):
        """Remember what an op gave."""
        for tensor, value in zip(tree_leaves(result), tree_leaves(values)):
            if isinstance(tensor, torch.Tensor) and isinstance(value, torch.Tensor):
                self.known[tensor] = value

    def shaped(self, func, args, values):
        """A tensor where the op's own shape function cannot say how long it is, else None."""
        if func not in AS_LONG_AS_VALUES_SAY:
            return None
        device = next(x.device for x in tree_leaves(args) if isinstance(x, torch.Tensor))
        made = tree_map(lambda x: torch.empty(x.shape, dtype=x.dtype, device=device) if isinstance(x, torch.Tensor) else x, values)
        self.note(made, values)
        return made
