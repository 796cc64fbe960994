#!/bin/sh
# Runs every fuzz target of a build directory, each for some seconds and as many at once as there are cores; what is
# found is kept there and used again.
# Usage: scripts/fuzz.sh [SECONDS [BUILD_DIRECTORY [TARGET]]]     (20, build-fuzz, all of them)
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-20}
build=${2:-build-fuzz}

if [ $# -lt 3 ]; then
  targets=$(find "$build" -maxdepth 1 -name '*_fuzz' -perm -u+x 2>/dev/null | sort)
  [ -n "$targets" ] || { echo "fuzz: nothing in $build: build the preset fuzz first" >&2; exit 1; }
  echo "$targets" | xargs -n 1 -P "$(nproc)" scripts/fuzz.sh "$seconds" "$build"
  exit
fi

target=$3
name=$(basename "$target" _fuzz)
found=$build/found/$name
seeds=fuzz/corpus/$name
mkdir -p "$found"
[ -d "$seeds" ] || seeds=""
echo "$name: $seconds s"
"$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096 -verbosity=0 -print_final_stats=1 \
  -artifact_prefix="$build/$name-" "$found" $seeds </dev/null
