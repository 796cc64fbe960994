#!/bin/sh
# Compiles the core to WebAssembly: build-wasm/peakmem.wasm.
set -eu
cd "$(dirname "$0")/.."

[ -f build-wasm/build.ninja ] || cmake --preset wasm
cmake --build --preset wasm
ls -l build-wasm/peakmem.wasm | awk '{ print $NF ": " $5 " bytes" }'
