#!/bin/sh
# Make the oracle's own Python environment and compile the fake CUDA device.
# Usage: oracle/setup.sh                       (into oracle/.venv)
#        oracle/setup.sh --transformers 4.48   (and oracle/.venv-4.48: that version, on the torch of the first)
#        PEAKMEM_ORACLE_VENV=DIR oracle/setup.sh
# PYTHON chooses the interpreter (default python3, 3.11 was used for the records).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv=${PEAKMEM_ORACLE_VENV:-$here/.venv}

[ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
pip() { "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }
# The CPU build of torch first, so that nothing else pulls in a CUDA build.
torch=$(grep '^torch==' "$here/requirements.txt")
pip --extra-index-url https://download.pytorch.org/whl/cpu "$torch+cpu" 2>/dev/null || pip "$torch"
pip -r "$here/requirements.txt"

torch_dir=$("$venv/bin/python" -c 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])')
"${CXX:-g++}" -std=c++20 -O1 -shared -fPIC "$here/fake_cuda.cpp" -o "$venv/fake_cuda.so" \
  -I"$torch_dir/include" -L"$torch_dir/lib" -lc10 -ltorch_cpu

if [ "${1:-}" = --transformers ]; then
  first=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  device=$venv/fake_cuda.so
  venv=$venv-$2
  [ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
  pip --no-deps -r "$here/requirements-$2.txt"
  pip requests aiohttp multiprocess  # what hub and datasets of that time need besides
  cp "$device" "$venv/"
  # What is installed here comes first; torch and the rest are those of the first environment.
  echo "$first" >"$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/first.pth"
fi
echo "ready: $venv/bin/python $here/measure.py CASES.jsonl"
