"""A CUDA device for fake tensors, on any build of torch, made after `import torch` and taken away again.

Two places in libtorch must believe that there is one (torch 2.13; c10/core/impl/DeviceGuardImplInterface.h and
aten/src/ATen/detail/CUDAHooksInterface.h):

- libc10 keeps one pointer per device type in the exported array `device_guard_impl_registry`. CUDA's is made to point to
  an object whose every virtual function is one stub that returns 1, and 0 in the second register: as a bool yes, as a
  Device cuda:0, as a Stream cuda:0's default one, as a count one device. A CUDA build's own guard is put back afterwards;
  until then nobody calls it, so that no GPU is initialised.
- autograd's engine asks the CUDA hooks whether CUDA was built and has a context. A CPU build's hooks say no or throw: they
  get a copy of their table of virtual functions with those two replaced by the stub. Which they are is found by trying.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import pathlib
import platform
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from .._errors import InputError

#: `return 1, 0` by machine: mov eax, 1; xor edx, edx; ret, and mov x0, #1; mov x1, #0; ret.
STUBS = {
    "x86_64": bytes.fromhex("b801000000 31d2 c3"),
    "aarch64": bytes.fromhex("200080d2 010080d2 c0035fd6"),
}

#: c10::DeviceType::CUDA, its place in the registry.
CUDA = 1
#: Virtual functions of a table that may be asked for; the hooks have fewer.
FUNCTIONS = 64
HOOKS = 48
WORD = ctypes.sizeof(ctypes.c_void_p)

#: What C++ points to lives as long as the process.
_kept: list[Any] = []


def _stub() -> int:
    """The address of a function that returns 1, in a page that is made once."""
    code = STUBS.get(platform.machine())
    if code is None or platform.system() != "Linux":
        where = f"{platform.system()} on {platform.machine()}"
        raise InputError("trace", f"{where} is not supported", "trace on Linux, x86-64 or arm64")
    if not _kept:
        try:
            page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        except OSError as error:
            raise InputError("trace", f"this system gives no executable page: {error}", "trace elsewhere") from None
        page.write(code)
        _kept.append(page)
    return ctypes.addressof(ctypes.c_char.from_buffer(_kept[0]))


def _symbol(library: str, name: str) -> int:
    """The address of what a library of torch exports."""
    path = pathlib.Path(torch.__file__).parent / "lib" / f"{library}.so"
    try:
        return ctypes.addressof(ctypes.c_char.in_dll(ctypes.CDLL(str(path)), name))
    except (OSError, ValueError):
        problem = f"torch {torch.__version__} has no {name} in {library}"
        raise InputError("trace", problem, "use one of the tested versions of torch") from None


@contextlib.contextmanager
def _guard(stub: int) -> Iterator[None]:
    """CUDA's device guard is the stub's."""
    table = (ctypes.c_void_p * FUNCTIONS)(*[stub] * FUNCTIONS)
    guard = (ctypes.c_void_p * 1)(ctypes.addressof(table))
    _kept.extend((table, guard))
    registry = _symbol("libc10", "_ZN3c104impl26device_guard_impl_registryE")
    slot = ctypes.c_void_p.from_address(registry + CUDA * WORD)
    before, slot.value = slot.value, ctypes.addressof(guard)
    try:
        yield
    finally:
        slot.value = before


def _accelerator() -> bool:
    """Whether torch takes CUDA for the accelerator."""
    ask = getattr(torch._C, "_accelerator_getAccelerator", None) or getattr(torch._C, "_get_accelerator", None)
    try:
        found = ask() if ask else None
    except RuntimeError:  # some versions throw where there is none
        return False
    return found is not None and found.type == "cuda"


def _backward() -> bool:
    """Whether a backward pass runs."""
    try:
        with FakeTensorMode():
            leaf = torch.empty(2, device="cuda", requires_grad=True)
            (leaf * leaf).sum().backward()
    except RuntimeError:
        return False
    return True


def _replace_until(works: Callable[[], bool], table: Any, stub: int) -> None:
    """Replaces the one function of the table with which it works."""
    if works():
        return
    for place in range(4, HOOKS + 2):  # two words in front are type information, two functions end the object
        before, table[place] = table[place], stub
        if works():
            return
        table[place] = before
    problem = f"torch {torch.__version__} does not take a fake CUDA device"
    raise InputError("trace", problem, "use one of the tested versions of torch")


@contextlib.contextmanager
def _hooks(stub: int) -> Iterator[None]:
    """The CUDA hooks say that there is a device with a context."""
    if _backward():
        yield
        return
    get = ctypes.CFUNCTYPE(ctypes.c_void_p)(_symbol("libtorch_cpu", "_ZN2at6detail12getCUDAHooksEv"))
    hooks = ctypes.c_void_p.from_address(get() or 0)
    before = hooks.value or 0
    words = ctypes.c_void_p * (HOOKS + 2)
    table = words(*words.from_address(before - 2 * WORD))
    _kept.append(table)
    hooks.value = ctypes.addressof(table) + 2 * WORD
    try:
        if hasattr(torch._C, "_accelerator_getAccelerator") or hasattr(torch._C, "_get_accelerator"):
            _replace_until(_accelerator, table, stub)
        _replace_until(_backward, table, stub)
        yield
    finally:
        hooks.value = before


def _start_engine() -> None:
    """Autograd's engine starts now, where it sees no GPU: later it would start a thread for the fake one, and a process that
    is forked after that could run no backward pass."""
    if torch.version.cuda is None:
        with torch.inference_mode(False), torch.enable_grad():
            torch.ones(1, requires_grad=True, device="cpu").sum().backward()


@contextlib.contextmanager
def fake_cuda() -> Iterator[None]:
    """A CUDA device that takes fake tensors. Backward passes run in one thread: the fake mode is one for all."""
    stub = _stub()
    _start_engine()
    with torch.autograd.set_multithreading_enabled(False), _guard(stub), _hooks(stub):
        yield
