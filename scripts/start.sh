#!/bin/sh
# Installs what is missing, builds the program and asks it: what does training GPT-2 need?
# Usage: scripts/start.sh [ARGUMENTS of peakmem, gpt2 if none are given]
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)

"$root/scripts/setup.sh"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
quietly() { "$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }; }

[ -f "$root/build/build.ninja" ] || (cd "$root" && quietly cmake --preset release)
quietly cmake --build "$root/build" --target peakmem

[ $# -gt 0 ] || set -- gpt2
"$root/build/peakmem" "$@"
