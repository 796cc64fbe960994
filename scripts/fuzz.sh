#!/bin/sh
# Runs every fuzz target of a build directory, each for some seconds; what it finds is kept there and used again.
# Usage: scripts/fuzz.sh [SECONDS [BUILD_DIRECTORY]]     (20, build-fuzz)
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-20}
build=${2:-build-fuzz}

for target in "$build"/*_fuzz; do
  [ -x "$target" ] || { echo "fuzz: nothing in $build: build the preset fuzz first" >&2; exit 1; }
  name=$(basename "$target" _fuzz)
  found=$build/found/$name
  seeds=fuzz/corpus/$name
  mkdir -p "$found"
  [ -d "$seeds" ] || seeds=""
  echo "$name: $seconds s"
  "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096 -verbosity=0 -print_final_stats=1 \
    -artifact_prefix="$build/$name-" "$found" $seeds </dev/null
done
