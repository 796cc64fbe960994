"""Values beside fake tensors: what is small and known, such as ids, masks, positions and lengths, has a real CPU twin.

A fake tensor has a twin if it was made of Python's numbers, or came with the batch, and every op since had twins of all it
read. Where the result of an op depends on values, the twin decides. Where there is none a guess is made, and counted in
`notes`: the answer says so.
"""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

from .._errors import InputError

aten = torch.ops.aten

#: Elements up to which values are kept: a mask of floating-point numbers over 512 by 512 tokens is among them.
KEPT = 1 << 20

#: Whose results are not yet written: no program depends on what is in them.
UNWRITTEN = frozenset("empty empty_like empty_strided new_empty new_empty_strided".split())

#: Whose results are random or not yet written.
UNKNOWN = UNWRITTEN | frozenset(
    "rand rand_like randn randn_like randint randint_like "
    "randperm normal normal_ uniform uniform_ bernoulli bernoulli_ exponential_ random_ multinomial native_dropout "
    "set_ record_stream _pin_memory".split()
)

#: Ops that index by tensors, of which some may be masks.
INDEXED = (aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default)


def name_of(func: Any) -> str:
    """An op's name without its library and overload."""
    return str(func._schema.name).split("::")[1]


def twin_of(tensor: Any) -> Any:
    """The values of a fake tensor; None where they are not known."""
    twin = getattr(tensor, "_peakmem_twin", None)
    if twin is None or twin.numel() and twin.untyped_storage().nbytes() == 0:  # emptied by `_forget`
        return None
    return twin


def give_twin(fake: Any, real: Any) -> None:
    fake._peakmem_twin = real


def small_values(real: Any) -> Any:
    """A copy of a real tensor on the CPU; None if it is too large, or has no values."""
    if real.device.type == "meta" or not _small([real]):
        return None
    with _disable_current_modes(), torch.no_grad():
        return real.detach().cpu().clone(memory_format=torch.preserve_format)


def _forget(tensor: Any) -> None:
    """What was known of a tensor's storage is known no more, by any of its views."""
    twin = twin_of(tensor)
    if twin is not None:
        with _disable_current_modes():
            twin.untyped_storage().resize_(0)


def _written(func: Any, args: Any, kwargs: Any) -> Any:
    """The tensors that an op writes to; communication does not say which."""
    if func.namespace == "c10d":
        return [each for each in tree_leaves(args) if isinstance(each, torch.Tensor)]
    if not func._schema.is_mutable:
        return ()
    pairs = zip(func._schema.arguments, args)
    found = [given for argument, given in pairs if argument.alias_info is not None and argument.alias_info.is_write]
    found.extend(kwargs[each.name] for each in func._schema.arguments if each.is_out and each.name in kwargs)
    return [each for each in tree_leaves(found) if isinstance(each, torch.Tensor)]


def _unwritten(fake: Any) -> None:
    """Whole numbers that a program is about to write, part by part, are known when it has."""
    if isinstance(fake, FakeTensor) and not fake.is_floating_point() and not fake.is_complex():
        with _disable_current_modes():
            give_twin(fake, torch.empty_strided(fake.shape, fake.stride(), dtype=fake.dtype).zero_())


def _small(tensors: Any) -> bool:
    return all(each.numel() <= KEPT for each in tensors if isinstance(each, torch.Tensor))


class Values:
    """What is known of values during a trace, and what was guessed."""

    def __init__(self, see: Callable[[Any], None]) -> None:
        self.notes: collections.Counter[str] = collections.Counter()
        self.see = see  # counts a tensor that an op makes for itself

    def guess(self, what: str) -> None:
        self.notes[what] += 1

    def learn(self, func: Any, args: Any, kwargs: Any, result: Any) -> None:
        """Gives an op's results twins, or takes them from what it wrote to."""
        name = name_of(func)
        leaves = tree_leaves(result)
        if name not in UNKNOWN and (func.is_view or _small(leaves)):
            real = self._run(func, args, kwargs)
            if real is not None:
                guessed = guess_in(tree_leaves((args, kwargs)))
                for fake, twin in zip(leaves, tree_leaves(real)):
                    if isinstance(fake, FakeTensor) and isinstance(twin, torch.Tensor) and fake.shape == twin.shape:
                        give_twin(fake, twin)
                        twin._peakmem_guess = guessed or getattr(twin, "_peakmem_guess", "")
                return
            if name in CHOICES:
                _choose(leaves[CHOICES[name]], args[0], *args[1 if name == "argmax" else 2 :][:1])
                return
        elif name in UNWRITTEN and _small(leaves):
            _unwritten(leaves[0])
        elif name == "randperm" and _small(leaves):
            _in_order(leaves[0])
        if not name.startswith("_amp_foreach_non_finite"):  # where nothing is infinite
            for each in _written(func, args, kwargs):
                _forget(each)

    def _run(self, func: Any, args: Any, kwargs: Any) -> Any:
        """The op on twins; None where one is missing or the op does not run on a CPU."""
        inputs = tree_leaves((args, kwargs))
        if any(isinstance(each, FakeTensor) and twin_of(each) is None for each in inputs):
            return None
        if not func.is_view and not _small(inputs):  # a view takes no memory, however large
            return None
        args, kwargs = tree_map(_on_cpu, (args, kwargs))
        try:
            with _disable_current_modes(), torch.no_grad():
                return func(*args, **kwargs)
        except (RuntimeError, NotImplementedError, TypeError):
            return None

    def instead(self, func: Any, args: Any, kwargs: Any) -> tuple[bool, Any]:
        """(True, its result) of an op that leaves the device or depends on values, where a fake tensor cannot say."""
        if func is aten._local_scalar_dense.default and isinstance(args[0], FakeTensor):
            return True, self._number(args[0])
        if func is aten.equal.default:
            return True, self._equal(*args)
        if func is aten.is_pinned.default:
            return True, True  # DDP's reducer asks of what it has put into pinned memory
        if func in INDEXED and any(each is not None and each.dtype in (torch.bool, torch.uint8) for each in args[1]):
            return True, self._masked(func, args, kwargs)
        return False, None

    def decide(self, tensors: Any) -> None:
        """What follows is decided by the values of these: if they were guessed, it is counted."""
        if guess := guess_in(tensors):
            self.guess(guess)

    def _number(self, tensor: Any) -> Any:
        twin = twin_of(tensor)
        if twin is not None:
            self.decide([tensor])
            with _disable_current_modes():
                return twin.item()
        self.guess(f"{str(tensor.dtype).removeprefix('torch.')}.item(): {'true' if tensor.dtype == torch.bool else 1}")
        return True if tensor.dtype == torch.bool else 1.0 if tensor.is_floating_point() else 1

    def _equal(self, first: Any, second: Any) -> bool:
        a, b = twin_of(first), twin_of(second)
        if a is not None and b is not None:
            with _disable_current_modes():
                return bool(torch.equal(a, b))
        self.guess("torch.equal: yes where the shapes are equal")
        return bool(first.shape == second.shape)

    def _masked(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Indexing by masks: each becomes the table of its places, as CUDA makes it (TensorAdvancedIndexing.cpp)."""
        tensor, indices, *rest = args
        alone = len([each for each in indices if each is not None]) == 1
        if func is not aten.index.Tensor and alone and rest[0].numel() == 1:  # masked_fill
            return tensor.clone() if func is aten.index_put.default else tensor
        places: list[Any] = []
        for each in indices:
            if each is None or each.dtype not in (torch.bool, torch.uint8):
                places.append(each)
            else:
                table = self._nonzero(each)
                self.see(table)
                places.extend(table.unbind(1))
        return func(tensor, places, *rest, **kwargs)

    def _nonzero(self, mask: Any) -> Any:
        twin = twin_of(mask)
        if twin is None:
            self.guess("indexing by a mask: nothing is masked")
            return _integers(mask, mask.numel(), mask.dim())
        self.decide([mask])
        with _disable_current_modes():
            places = twin.nonzero() if _small([twin]) else int(twin.count_nonzero())
        if isinstance(places, int):  # a mask that is expanded over all features: how many is enough
            return _integers(mask, places, mask.dim())
        return _fake_like(places, mask.device)

    def without_shape(self, func: Any, args: Any, kwargs: Any, error: Exception) -> Any:
        """The result of an op that nobody said the shapes of: of known values by running it."""
        real = self._run(func, args, kwargs)
        tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
        if real is not None and tensors:
            return tree_map(lambda each: _fake_like(each, tensors[0].device), real)
        name = str(func._schema.name)
        raise InputError(
            "model",
            f"the op {name} has no shape function",
            f"give it one: @torch.library.register_fake({name!r})",
        ) from error

    def by_value(self, func: Any, args: Any, kwargs: Any, error: Exception) -> Any:
        """The result of an op whose shape depends on values."""
        real = self._run(func, args, kwargs)
        tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
        if real is not None and tensors:
            self.decide(tensors)
            return tree_map(lambda each: _fake_like(each, tensors[0].device), real)
        guess = GUESSES.get(name_of(func))
        if guess is None:
            raise InputError(
                "model",
                f"{name_of(func)} depends on values, which are not known here: {error}",
                "pass the batch as real tensors, or leave what looks at values out of the step",
            ) from error
        said, make = guess
        self.guess(f"{name_of(func)}: {said}")
        return make(*args, **kwargs)


def _on_cpu(value: Any) -> Any:
    if isinstance(value, FakeTensor):
        return twin_of(value)
    return torch.device("cpu") if isinstance(value, torch.device) else value


def _fake_like(real: Any, device: Any) -> Any:
    if not isinstance(real, torch.Tensor):
        return real
    fake = torch.empty_strided(real.shape, real.stride(), dtype=real.dtype, device=device)
    give_twin(fake, real)
    return fake


def _integers(like: Any, *shape: int) -> Any:
    return torch.empty(shape, dtype=torch.long, device=like.device)


def _all_differ(tensor: Any, *_: Any, **__: Any) -> Any:
    count = tensor.numel()
    return tensor.new_empty(count), _integers(tensor, *tensor.shape), _integers(tensor, count)


#: Ops whose shapes depend on values: what is said of the guess, and the guess.
GUESSES: dict[str, tuple[str, Callable[..., Any]]] = {
    "nonzero": ("everything", lambda tensor: _integers(tensor, tensor.numel(), tensor.dim())),
    "masked_select": ("everything", lambda tensor, mask: tensor.new_empty(mask.numel())),
    "_unique2": ("all differ", _all_differ),
    "unique_dim": ("all differ", _all_differ),
    "unique_consecutive": ("all differ", _all_differ),
    "repeat_interleave": ("each once", lambda repeats, **_: _integers(repeats, repeats.shape[0])),
    "bincount": ("only the least", lambda tensor, weights=None, minlength=0: _integers(tensor, max(minlength, 1))),
}


#: Ops that choose by values, such as a router its experts, and which of their results says what was chosen.
CHOICES = {"topk": 1, "argmax": 0}

BALANCED = "what topk or argmax chose: each equally often"
IN_ORDER = "what randperm shuffled: nothing"


def guess_in(tensors: Any) -> str:
    """The guess that the values of some of these tensors come from; nothing if they are known."""
    twins = (twin_of(each) for each in tensors if isinstance(each, FakeTensor))
    return next((guess for each in twins if each is not None and (guess := getattr(each, "_peakmem_guess", ""))), "")


def _in_order(fake: Any) -> None:
    """Values of a random order: any is as good as that of the numbers."""
    with _disable_current_modes():
        values = torch.arange(fake.numel(), dtype=fake.dtype)
        values._peakmem_guess = IN_ORDER
    give_twin(fake, values)


def _choose(chosen: Any, among: Any, dim: Any = -1) -> None:
    """Values of what was chosen where nobody knows: one after the other, so that all are chosen equally often."""
    if not isinstance(chosen, FakeTensor) or not isinstance(dim, int) or not 0 < among.dim() <= chosen.dim() + 1:
        return
    with _disable_current_modes():
        last = chosen.dim() - 1
        turned = chosen.dim() == among.dim() and dim % among.dim() != last
        shape = list(chosen.shape)
        if turned:
            shape.append(shape.pop(dim % among.dim()))
        values = (torch.arange(chosen.numel()) % among.shape[dim]).view(shape)
        values = values.movedim(-1, dim % among.dim()) if turned else values
        values._peakmem_guess = BALANCED
    give_twin(chosen, values)


def as_numbers(data: Any) -> Any:
    """Numbers in place of the tensors of one number in (nested) lists, as `torch.tensor` reads them: around the dispatcher."""
    if isinstance(data, FakeTensor) and data.numel() == 1:
        return data.item()
    return type(data)(map(as_numbers, data)) if type(data) in (list, tuple) else data


@contextlib.contextmanager
def values_leave_tensors(decide: Callable[[Any], None]) -> Iterator[None]:
    """Lists, arrays and texts of a fake tensor whose values are known."""

    def known(tensor: Any, what: str) -> Any:
        twin = twin_of(tensor)
        if twin is None:
            problem = f".{what}() of {list(tensor.shape)} whose values are not known here"
            raise InputError("model", problem, "pass the batch as real tensors, or leave it out of the step")
        decide([tensor])
        return twin

    def numpy(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        with _disable_current_modes():
            return known(tensor, "numpy").numpy(*args, **kwargs)

    def tolist(tensor: Any) -> Any:
        with _disable_current_modes():
            return known(tensor, "tolist").tolist()

    def text(tensor: Any, how: str) -> str:  # a number's, as in f"expert_{index}"
        return format(tensor.item() if tensor.dim() == 0 else str(tensor), how)

    before = {name: vars(FakeTensor).get(name) for name in ("numpy", "tolist", "__format__")}
    FakeTensor.numpy, FakeTensor.tolist, FakeTensor.__format__ = numpy, tolist, text
    try:
        yield
    finally:
        for name, method in before.items():
            if method is None:
                delattr(FakeTensor, name)
            else:
                setattr(FakeTensor, name, method)
