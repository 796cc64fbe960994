"""The fake device: there while it is asked for, gone afterwards."""

from __future__ import annotations

import ctypes

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from peakmem.trace._attention import choose
from peakmem.trace._device import _symbol, fake_cuda


def pointers() -> list[int | None]:
    """What libtorch points to: every device's guard, and the table of the CUDA hooks."""
    registry = _symbol("libc10", "_ZN3c104impl26device_guard_impl_registryE")
    get = ctypes.CFUNCTYPE(ctypes.c_void_p)(_symbol("libtorch_cpu", "_ZN2at6detail12getCUDAHooksEv"))
    hooks = ctypes.c_void_p.from_address(get() or 0).value
    return [ctypes.c_void_p.from_address(registry + 8 * i).value for i in range(4)] + [hooks]


def trains() -> bool:
    with FakeTensorMode():
        leaf = torch.empty(2, device="cuda", requires_grad=True)
        (leaf * leaf).sum().backward()
    return leaf.grad is not None and leaf.grad.device.type == "cuda"


def test_comes_and_goes_as_often_as_wanted() -> None:
    with fake_cuda():
        assert trains()
    before = pointers()
    for _ in range(3):
        with fake_cuda():
            assert pointers() != before
            assert trains()
        assert pointers() == before
    assert not torch.cuda.is_initialized()


def test_goes_where_the_block_fails() -> None:
    before = pointers()
    with pytest.raises(KeyError), fake_cuda():
        raise KeyError
    assert pointers() == before
    assert torch.autograd.is_multithreading_enabled()


@pytest.mark.parametrize(
    ("dtype", "width", "masked", "capability", "kernel"),
    [
        (torch.bfloat16, 64, False, (8, 0), "flash"),
        (torch.float16, 64, False, (8, 9), "flash"),
        (torch.float16, 200, False, (8, 0), "flash"),
        (torch.float16, 200, False, (8, 9), "efficient"),  # flash has no backward pass for such heads there
        (torch.float16, 264, False, (8, 0), "efficient"),
        (torch.float16, 64, True, (8, 0), "efficient"),
        (torch.float32, 64, False, (8, 0), "efficient"),
        (torch.float32, 66, False, (8, 0), "math"),
        (torch.float64, 64, False, (8, 0), "math"),
        (torch.float16, 64, False, (7, 5), "efficient"),
        (torch.bfloat16, 64, False, (7, 5), "math"),
    ],
)
def test_attention_takes_the_kernel_of_the_gpu(
    dtype: torch.dtype, width: int, masked: bool, capability: tuple[int, int], kernel: str
) -> None:
    query = torch.zeros(2, 4, 8, width, dtype=dtype, device="meta", requires_grad=True)
    mask = torch.zeros(8, 8, device="meta") if masked else None
    assert choose(query, query, query, mask, 0.0, False, capability) == kernel


def test_attention_takes_what_the_user_allows() -> None:
    query = torch.zeros(2, 4, 8, 64, dtype=torch.float16, device="meta")
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        assert choose(query, query, query, None, 0.0, False, (8, 0)) == "math"


def test_grouped_heads_go_to_flash_or_math() -> None:
    query, key = (torch.zeros(2, heads, 8, 64, dtype=torch.float16, device="meta") for heads in (4, 2))
    assert choose(query, key, key, None, 0.0, True, (8, 0)) == "flash"
    assert choose(query.float(), key.float(), key.float(), None, 0.0, True, (8, 0)) == "math"


def test_attention_of_one_sequence_over_many_is_the_math_path() -> None:
    one, many = torch.empty(1, 2, 3, 8, device="meta"), torch.empty(5, 2, 4, 8, device="meta")
    assert choose(one, many, many, None, 0.0, False, (8, 0)) == "math"
    assert choose(many, many, many, None, 0.0, False, (8, 0)) == "efficient"
