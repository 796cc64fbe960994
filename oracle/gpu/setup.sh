#!/bin/sh
# From nothing to PyTorch's CUDA build that runs without a GPU: 3 GB, a few minutes, g++.
# Usage: oracle/gpu/setup.sh                     (into oracle/gpu/.venv)
#        PEAKMEM_GPU_VENV=DIR oracle/gpu/setup.sh
# PYTHON chooses the interpreter (default python3, 3.11 was used for the records).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv=${PEAKMEM_GPU_VENV:-$here/.venv}
for tool in "${CXX:-g++}" nm readelf; do
  command -v "$tool" >/dev/null || { echo "setup.sh: no $tool here; install a C++ compiler and binutils" >&2; exit 2; }
done

[ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
# No folder of wheels that PIP_FIND_LINKS names: a CPU build of torch there would win.
pip() { PIP_FIND_LINKS='' "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }
# PyPI's own wheel of torch is the CUDA build (=== refuses "+cpu"). Without dependencies, which are the nvidia-* libraries:
# 3 GB that the stand-in takes the place of. So what the pinned packages need besides is named here.
sed 's/^torch==/torch===/' "$here/../requirements.txt" >"$venv/requirements.txt"
pip install --quiet --no-deps -r "$venv/requirements.txt"
pip install --quiet datasets filelock fsspec huggingface-hub jinja2 networkx packaging psutil pyyaml regex requests safetensors \
  setuptools sympy tokenizers tqdm typer typing_extensions
# Of CUDA itself the headers, for the layouts of its structs.
pip download --quiet --no-deps -d "$venv/wheels" nvidia-cuda-runtime==13.0.96 nvidia-cuda-crt==13.0.88
for wheel in "$venv"/wheels/*.whl; do "$venv/bin/python" -m zipfile -e "$wheel" "$venv/headers"; done

site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
build=$venv/stand_in
mkdir -p "$build"
compile() { "${CXX:-g++}" -std=c++20 -O1 -fPIC -fvisibility=hidden -Wall -Wextra -isystem "$venv/headers/nvidia/cu13/include" -c "$1" -o "$2"; }
for part in gpu memory runtime driver libraries; do compile "$here/cuda/$part.cpp" "$build/$part.o"; done
names=$("$venv/bin/python" "$here/cuda/stubs.py" "$site" "$build"/gpu.o "$build"/memory.o "$build"/runtime.o "$build"/driver.o \
  "$build"/libraries.o -o "$build/stubs.cpp")
compile "$build/stubs.cpp" "$build/stubs.o"
# One library under every name, where torch looks for the nvidia-* packages (its RPATH): ld.so knows a file by its inode, so
# all names are one library with one state.
lib=$site/nvidia/cu13/lib
mkdir -p "$lib"
"${CXX:-g++}" -shared "$build"/*.o -o "$lib/libstand_in.so" -ldl
for name in $names; do ln -sf libstand_in.so "$lib/$name"; done
"$venv/bin/python" -c "import sys; sys.path.insert(0, '$here'); import device, torch; torch.zeros(1, device='cuda'); print(torch.__version__, 'on', torch.cuda.get_device_name())"
echo "ready: $venv/bin/python $here/measure.py CASES.jsonl"
