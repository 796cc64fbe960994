#!/bin/sh
# Installs what is missing, builds the program and asks it: what does training GPT-2 need?
# Usage: scripts/start.sh [ARGUMENTS of peakmem, gpt2 if none are given]
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)

"$root/scripts/setup.sh"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
say() { echo "start: $*" >&2; }  # the answer alone is standard output
quietly() { "$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }; }

[ -x "$root/build/peakmem" ] || say "building the program; the first time takes minutes, all cores at work"
[ -f "$root/build/build.ninja" ] || (cd "$root" && quietly cmake --preset release)
quietly cmake --build "$root/build" --target peakmem

[ $# -gt 0 ] || set -- gpt2
status=0
"$root/build/peakmem" "$@" || status=$?
say "next: $root/build/peakmem --help, or to have it on the path: sudo cmake --install $root/build"
exit $status
