"""Writes what nobody has to think about: a stub for every CUDA function that the installed libraries want.

Wanted is what libraries do not define themselves (nm), and what they look up by name while they run: every text in them
that could be a function of the driver. What the objects define is written by hand. A new version of torch is served by
running this again.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Iterable, List, Set

FUNCTION = re.compile(
    r"(__cuda|cu[A-Z]|cuda[A-Z]|cublas|cudnn|cufft|cufile|cuFile|cupti|curand|cusolver|cusparse|nccl[A-Z]|nvml[A-Z]|nvrtc[A-Z]|nvshmem|nvtx[A-Z])\w+"
)
BY_NAME = re.compile(rb"\0((?:cu[A-Z]|cuda[A-Z]|nvml[A-Z])\w+)(?=\0)")
CALLED = re.compile(rb"\b(cu[A-Z]\w+)")
LIBRARY = re.compile(r"lib(cu|nccl|nvrtc|nvshmem|nvJitLink|nvToolsExt)\w*\.so[.\d]*")
SOURCES = ("triton/backends/nvidia/*.c",)  # compiled when a kernel first runs

# What a function returns, by its name. A handle is like no other (PyTorch keeps a workspace for each cuBLAS handle), texts are
# texts, all else is success: 0.
RULES = [
    (r"(cublas|cudnn|cusparse|cusolver|nvrtc|cudaEvent)\w*Create\w*", "int {0}(void** handle) {{ *handle = fresh(); return 0; }}"),
    (r"(cuda|cublas|cublasLt|cudnn|cusparse|nccl|nvrtc|nvml)(Get)?(Last)?(Error|Status)(String|Name)?", 'const char* {0}() {{ return "{0}: stand-in"; }}'),
    (r"\w+", "int {0}() {{ return 0; }}"),
]

HEAD = """#include <atomic>
static void* fresh() {
  static std::atomic<unsigned long> last{0x1000};
  return reinterpret_cast<void*>(last += 16);
}
#pragma GCC visibility push(default)
extern "C" {
"""


def lines(*command: str) -> List[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def symbols(path: str, *options: str) -> Set[str]:
    """Names of functions, without versions: a library that defines none binds to any (ld.so warns at most)."""
    return {line.split()[-1].split("@")[0] for line in lines("nm", *options, path) if line.strip()}


def wanted(path: Path) -> Set[str]:
    text = path.read_bytes()
    if path.suffix == ".c":
        return {name.decode() for name in CALLED.findall(text)}
    named = {name.decode() for name in BY_NAME.findall(text)}
    return {s for s in symbols(str(path), "-D", "--undefined-only") | named if FUNCTION.fullmatch(s)}


def needed(path: Path) -> Set[str]:
    entries = (re.search(r"\(NEEDED\).*\[(.*)\]", line) for line in lines("readelf", "-d", str(path)))
    return {e[1] for e in entries if e and LIBRARY.fullmatch(e[1])}


def libraries_of(site: Path) -> List[Path]:
    """Those of the packages that are linked with CUDA, and torch's own, which look for it by name; not NVIDIA's."""
    packages = [folder for folder in site.iterdir() if folder.name != "nvidia"]
    found = [path for folder in packages for path in sorted(folder.rglob("*.so*")) if path.is_file() and is_elf(path)]
    return [path for path in found if path.parent == site / "torch/lib" or needed(path)]


def is_elf(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def stub(name: str) -> str:
    return next(text.format(name) for pattern, text in RULES if re.fullmatch(pattern, name))


def write(site: Path, objects: Iterable[str], output: Path) -> List[str]:
    """Writes the stubs in C++; returns the names of the CUDA libraries that are wanted."""
    libraries = libraries_of(site)
    written = {s for path in objects for s in symbols(path, "--defined-only")}
    given = {s for path in libraries for s in symbols(str(path), "-D", "--defined-only")}
    sources = [path for pattern in SOURCES for path in site.glob(pattern)]
    names: Set[str] = set().union(*map(wanted, libraries + sources)) - written - given
    output.write_text(HEAD + "\n".join(map(stub, sorted(names))) + "\n}\n")
    # torch looks for these two when it is imported or first runs a kernel, whether or not a library wants them.
    return sorted(set().union(*map(needed, libraries)) | {"libcuda.so.1", "libnvidia-ml.so.1"})
