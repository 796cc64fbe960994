#!/usr/bin/env python3
"""Write what nobody has to think about: a stub for every CUDA function that the installed libraries want.

    stubs.py SITE_PACKAGES OBJECT... -o STUBS.cpp     (and prints the names of the CUDA libraries they want)

Wanted is what libraries do not define themselves (nm), and what they look up by name while they run: every text in them
that could be a function of the driver. What the objects define is written by hand. A new version of torch is served by
running this again.
"""

import argparse
import pathlib
import re
import subprocess

FUNCTION = re.compile(
    r"(__cuda|cu[A-Z]|cuda[A-Z]|cublas|cudnn|cufft|cufile|cuFile|cupti|curand|cusolver|cusparse|nccl[A-Z]|nvml[A-Z]|nvrtc[A-Z]|nvshmem)\w+")
BY_NAME = re.compile(rb"\0((?:cu[A-Z]|cuda[A-Z]|nvml[A-Z])\w+)(?=\0)")
CALLED = re.compile(rb"\b(cu[A-Z]\w+)")
LIBRARY = re.compile(r"lib(cu|nccl|nvrtc|nvshmem|nvJitLink)\w*\.so[.\d]*")
SOURCES = ("triton/backends/nvidia/*.c",)  # compiled when a kernel first runs
LIBRARIES = ("torch/lib/*.so", "bitsandbytes/libbitsandbytes_cuda130.so")  # bitsandbytes has one for every CUDA

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


def lines(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def symbols(path, *options):
    """Names of functions, without versions: a library that defines none binds to any (ld.so warns at most)."""
    return {line.split()[-1].split("@")[0] for line in lines("nm", *options, path) if line.strip()}


def wanted(path):
    text = path.read_bytes()
    if path.suffix == ".c":
        return {name.decode() for name in CALLED.findall(text)}
    named = {name.decode() for name in BY_NAME.findall(text)}
    return {s for s in symbols(path, "-D", "--undefined-only") | named if FUNCTION.fullmatch(s)}


def needed(path):
    entries = (re.search(r"\(NEEDED\).*\[(.*)\]", line) for line in lines("readelf", "-d", path))
    return {e[1] for e in entries if e and LIBRARY.fullmatch(e[1])}


def stub(name):
    return next(text.format(name) for pattern, text in RULES if re.fullmatch(pattern, name))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("site", type=pathlib.Path)
    parser.add_argument("objects", nargs="+")
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True)
    args = parser.parse_args()
    libraries = [path for pattern in LIBRARIES for path in args.site.glob(pattern)]
    written = {s for path in args.objects for s in symbols(path, "--defined-only")}
    given = {s for path in libraries for s in symbols(path, "-D", "--defined-only")}
    sources = [path for pattern in SOURCES for path in args.site.glob(pattern)]
    stubs = sorted(set().union(*map(wanted, libraries + sources)) - written - given)
    body = "\n".join(map(stub, stubs))
    args.output.write_text(HEAD + body + "\n}\n")
    # torch looks for these two when it is imported or first runs a kernel, whether or not a library wants them.
    print(*sorted(set().union(*map(needed, libraries)) | {"libcuda.so.1", "libnvidia-ml.so.1"}), sep="\n")


main()
