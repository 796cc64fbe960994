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
# DeepSpeed is a source package; none of its kernels is built (zero.py stands in for its Adams).
pip install --quiet wheel einops hjson msgpack ninja py-cpuinfo pydantic
DS_BUILD_OPS=0 pip install --quiet --no-deps --no-build-isolation deepspeed==0.19.8
# The stand-in, compiled when it is first asked for, with the headers of CUDA that Triton brings.
"$venv/bin/python" -c "import sys; sys.path.insert(0, '$here'); import device, torch; torch.zeros(1, device='cuda'); print(torch.__version__, 'on', torch.cuda.get_device_name())"
echo "ready: $venv/bin/python $here/measure.py CASES.jsonl"
