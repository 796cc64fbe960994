#!/bin/sh
# Lays out the C++ sources as .clang-format says, or with --check only names those that are laid out otherwise.
set -eu
cd "$(dirname "$0")/.."

good=0
for file in $(find src cli python wasm tests bench fuzz -name '*.h' -o -name '*.cpp'); do
  clang-format-19 "$file" | cmp -s - "$file" && continue
  if [ "${1:-}" = --check ]; then
    echo "$file: run scripts/format.sh"
    good=1
  else
    clang-format-19 -i "$file"
  fi
done
exit $good
