"""The stand-in for the CUDA libraries: found or compiled once for a torch, and loaded so that nothing else is.

Needs nothing but Python 3.8, g++ and binutils: it runs in the Python of the script, before torch is imported.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List, Optional

from . import stubs

HERE = Path(__file__).resolve().parent
PARTS = ("gpu", "memory", "runtime", "driver", "libraries")
TOOLS = ("nm", "readelf")
NAME = "libstand_in.so"


class NoStandIn(Exception):
    """Why there can be none here, and what to do about it; one line."""


def site_packages() -> Optional[Path]:
    """Where this Python's torch lies; None without one. torch is not imported."""
    spec = importlib.util.find_spec("torch")
    return Path(spec.origin).resolve().parents[1] if spec and spec.origin else None


def cache_folder() -> Path:
    """What is compiled once lies here: $PEAKMEM_CACHE, or peakmem in the user's cache folder."""
    given = os.environ.get("PEAKMEM_CACHE")
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "peakmem"


def cuda_version(site: Path) -> str:
    """The CUDA that torch was built for, "13.0"."""
    text = (site / "torch/version.py").read_text()
    found = re.search(r"^cuda\b.*=\s*'([\d.]+)'", text, re.MULTILINE)
    if not found:
        raise NoStandIn(f"torch in {site} is built without CUDA; install the CUDA build, no GPU is needed for it")
    return found[1]


def compiler() -> str:
    name = os.environ.get("CXX") or "g++"
    for tool in (name, *TOOLS):
        if not shutil.which(tool):
            raise NoStandIn(f"{tool} is missing; install a C++ compiler and binutils (Debian: apt-get install g++ binutils)")
    return name


def headers(site: Path, cuda: str) -> List[str]:
    """Folders with cuda.h and cuda_runtime_api.h of that CUDA, for the layouts of its structs: those of the nvidia-*
    packages, of an installed CUDA, and those that Triton brings (crt/ is only there in some)."""
    major = cuda.split(".")[0]
    asked = [site / f"nvidia/cu{major}/include", site / "nvidia/cuda_runtime/include", site / "nvidia/cuda_nvcc/include"]
    asked += [Path(os.environ.get(key) or "/usr/local/cuda") / "include" for key in ("CUDA_HOME", "CUDA_PATH")]
    asked += [site / "triton/backends/nvidia/include", site / "triton/third_party/cuda/include"]
    folders = [str(folder) for folder in asked if is_of(folder, major)]
    if not folders:
        package = "nvidia-cuda-runtime" + ("" if int(major) > 12 else f"-cu{major}")
        raise NoStandIn(f"no headers of CUDA {major} here; pip install --no-deps {package}")
    return folders


def is_of(folder: Path, major: str) -> bool:
    """A folder of headers of that CUDA, or one with crt/ alone."""
    header = folder / "cuda.h"
    if not header.exists():
        return (folder / "crt/host_defines.h").exists()
    found = re.search(rb"#define CUDA_VERSION (\d+)", header.read_bytes())
    return bool(found) and int(found[1]) // 1000 == int(major)  # type: ignore[index]


def key(site: Path) -> str:
    """What the library depends on: the stand-in itself, and the packages, which want functions of it."""
    text = repr([str(site), sys.version_info[:2], sorted(os.listdir(site)), os.environ.get("CXX", "")]).encode()
    sources = [HERE / "stubs.py", HERE / "library.py", *sorted((HERE / "cuda").iterdir())]
    return hashlib.sha256(text + b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]


def command(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise NoStandIn(f"{words[0]} failed: {done.stderr.strip()[:2000]}")


def compile_into(folder: Path, site: Path) -> None:
    """One library with all functions, and for each CUDA library an empty one of its name that leads to it."""
    cxx, cuda = compiler(), cuda_version(site)
    flags = [f"-isystem{path}" for path in headers(site, cuda)]
    objects = [str(folder / f"{part}.o") for part in PARTS]
    compile_one = (cxx, "-std=c++20", "-O1", "-fPIC", "-fvisibility=hidden", *flags, "-c")
    for part, made in zip(PARTS, objects):
        command(*compile_one, str(HERE / f"cuda/{part}.cpp"), "-o", made)
    names = stubs.write(site, objects, folder / "stubs.cpp")
    command(*compile_one, str(folder / "stubs.cpp"), "-o", str(folder / "stubs.o"))
    command(cxx, "-shared", f"-Wl,-soname,{NAME}", *objects, str(folder / "stubs.o"), "-o", str(folder / NAME), "-ldl")
    for name in names:
        link = f"-Wl,-soname,{name},--no-as-needed,-rpath,$ORIGIN"
        command(cxx, "-shared", link, "-o", str(folder / file_name(name)), str(folder / NAME))
    for path in folder.glob("*.o"):
        path.unlink()


def file_name(name: str) -> str:
    """ld.so goes by the name within; torch by those in /proc/self/maps, and would load NVIDIA's own beside a libcudart.so.
    Triton looks for a file."""
    return name if name == "libcuda.so.1" else name.replace(".so", ".stand-in")


def folder_of(site: Path) -> Path:
    """The folder of the library for the torch that lies in `site`; compiled where it is not there yet."""
    folder = cache_folder() / "stand-in" / key(site)
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.parent / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # ranks start together
        if not folder.exists():
            print("peakmem: compiling the stand-in for CUDA, once for these packages", file=sys.stderr, flush=True)
            unfinished = Path(f"{folder}.{os.getpid()}")
            unfinished.mkdir()
            try:
                compile_into(unfinished, site)
                unfinished.rename(folder)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def load(folder: Path) -> ctypes.CDLL:
    """Before torch: ld.so takes what is loaded already for every library of that name, whatever RPATH, the nvidia-*
    packages or a driver offer; and its symbols, being global, come before theirs."""
    library = ctypes.CDLL(str(folder / NAME), mode=ctypes.RTLD_GLOBAL)
    for path in sorted(folder.glob("lib*")):
        ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    library.peakmem_answer.argtypes, library.peakmem_answer.restype = [ctypes.c_uint64], None
    library.peakmem_reads.restype = ctypes.c_uint64
    os.environ["TRITON_LIBCUDA_PATH"] = str(folder)  # where it would ask ldconfig
    return library
