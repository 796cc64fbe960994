#!/bin/sh
# Times the whole command, from its start to its answer, against the bare start of Python.
# Usage: bench/start.sh [ARGUMENTS of peakmem, gpt2 if none are given]
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- gpt2
program=build/peakmem
[ -x "$program" ] || { echo "bench/start.sh: no $program yet: run scripts/start.sh first" >&2; exit 1; }

if command -v hyperfine >/dev/null; then
  exec hyperfine --shell=none --warmup 20 --runs 200 "$program $*" "python3 -S -c pass"
fi

# Milliseconds a run, over 200 runs.
time_of() {
  start=$(date +%s%N)
  i=0
  while [ $i -lt 200 ]; do "$@" >/dev/null; i=$((i + 1)); done
  awk -v ns=$(($(date +%s%N) - start)) -v name="$*" 'BEGIN { printf "%8.2f ms  %s\n", ns / 200 / 1e6, name }'
}
time_of "$program" "$@"
time_of python3 -S -c pass
