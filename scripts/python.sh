#!/bin/sh
# Installs what is missing, makes a virtual environment in .venv with the package in it, and asks it an example.
# Usage: scripts/python.sh [--tests]     --tests installs what tests need besides, and asks nothing
set -eu
cd "$(dirname "$0")/.."

scripts/setup.sh --python
log=$(mktemp)
trap 'rm -f "$log"' EXIT
say() { echo "python: $*"; }
quietly() { "$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }; }
install() { quietly .venv/bin/pip install --quiet --disable-pip-version-check "$@"; }

[ -x .venv/bin/pip ] || say "making the virtual environment .venv"
[ -x .venv/bin/pip ] || quietly python3 -m venv .venv
cmp -s python/requirements.lock .venv/requirements.lock || {
  install --require-hashes -r python/requirements.lock
  cp python/requirements.lock .venv/requirements.lock
}

# The tests of peakmem.trace want torch; its CPU build is a tenth of the other.
traced=python/requirements-trace.txt
[ "${1:-}" != --tests ] || cmp -s $traced .venv/requirements-trace.txt || {
  torch=$(grep '^torch==' $traced)
  from=https://download.pytorch.org/whl/cpu
  .venv/bin/pip install --quiet --disable-pip-version-check "$torch+cpu" 2>/dev/null ||
    .venv/bin/pip install --quiet --disable-pip-version-check --retries 1 --timeout 20 --extra-index-url $from "$torch+cpu" \
      2>/dev/null || install "$torch"
  cp $traced .venv/requirements-trace.txt
}

# What the package is made of; it is built again only when that changed.
made_of=$(find src data cmake cli python/peakmem python/core.cpp python/CMakeLists.txt CMakeLists.txt \
  pyproject.toml -type f ! -name '*.pyc' | LC_ALL=C sort | xargs sha256sum | sha256sum)
[ "$made_of" = "$(cat .venv/made_of 2>/dev/null)" ] || {
  say "building the package; the first time takes minutes, all cores at work"
  # Where the program is built here, its core is the module's too.
  core=""
  [ ! -f build/build.ninja ] || { quietly cmake --build build --target peakmem_core && core=$PWD/build/src/libpeakmem_core.a; }
  install --no-build-isolation --no-deps --force-reinstall -C cmake.define.PEAKMEM_CORE="$core" .
  printf '%s\n' "$made_of" >.venv/made_of
}

[ "${1:-}" = --tests ] || .venv/bin/python - <<'EXAMPLE'
import peakmem

report = peakmem.estimate("gpt2", batch=8, precision="bf16", gpu="rtx-4090")
print(f"{report.model}: {report.peak.allocated_bytes:,} bytes at the peak, {report.fits.verdict}")
print(report.formula(simplify="5%").text)
EXAMPLE
[ "${1:-}" = --tests ] || say "next: .venv/bin/python, and import peakmem (docs/python.md)"
