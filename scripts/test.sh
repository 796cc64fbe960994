#!/bin/sh
# Everything that must hold, from an empty machine: scripts/test.sh
#
# The last line is "N passed, N failed": the sum of what ctest, node and pytest counted, and one for each step that counts
# nothing itself. Logs are in build-logs/. FUZZ_SECONDS is how long each fuzz target runs (20).
set -eu
cd "$(dirname "$0")/.."
mkdir -p build-logs
passed=0
failed=0

# "PASSED FAILED" as the runner in a log counted them, or nothing.
counts() {
  awk '
    /^[0-9]+% tests passed, [0-9]+ tests? failed out of [0-9]+/ { pass += $NF - $4; fail += $4; seen = 1 }  # ctest
    /^# pass [0-9]+$/ { pass += $3; seen = 1 }                                                              # node
    /^# fail [0-9]+$/ { fail += $3; seen = 1 }
    /^[0-9]+ (passed|failed|errors?|skipped).* in [0-9.]+s/ {  # pytest
      for (i = 1; i < NF; i++) {
        if ($(i + 1) ~ /^passed/) pass += $i
        if ($(i + 1) ~ /^(failed|errors?)/) fail += $i
      }
      seen = 1
    }
    END { if (seen) print pass + 0, fail + 0 }' "$1"
}

# step NAME COMMAND...: runs it and adds up. A step that fails without a failed test is one failure itself.
step() {
  name=$1
  shift
  log=build-logs/$name.log
  began=$(date +%s)
  printf '%-8s ' "$name"
  good=1
  "$@" >"$log" 2>&1 || good=0
  set -- $(counts "$log")
  [ $# = 2 ] || set -- $good 0
  [ $good = 1 ] || [ "$2" -gt 0 ] || set -- "$1" 1
  passed=$((passed + $1))
  failed=$((failed + $2))
  printf '%4d passed %4d failed %5d s\n' "$1" "$2" $(($(date +%s) - began))
  [ $good = 1 ] || cat "$log"
}

# What users build, here with every warning an error.
started() { cmake --preset release -DPEAKMEM_STRICT=ON && cmake --build --preset release -- -k 0 && scripts/start.sh; }
documented() { scripts/refresh_docs.sh --check build/peakmem; }
# Every record, by the program itself: g++ orders what clang, by which the tests are built, may order otherwise.
recorded() { build/peakmem accuracy oracle/records/*.jsonl && ! build/peakmem accuracy oracle/records/*.jsonl | grep -q '^not met'; }
checked() {
  [ -f build-check/build.ninja ] || cmake --preset check
  cmake --build --preset check -- -k 0 && ctest --preset check  # all that is wrong, not only the first
}
wasm() { scripts/build_wasm.sh && node --test --test-reporter=tap wasm/smoke.mjs; }
# The notebook and the examples of docs/python.md run as tests.
packaged() { scripts/python.sh --tests && .venv/bin/mypy && .venv/bin/pytest -n "$(nproc)" --dist loadfile; }
web() { scripts/build_web.sh && (cd web && node --test --test-reporter=tap tests/*.test.mjs); }
fuzzed() { scripts/fuzz.sh "${FUZZ_SECONDS:-20}" build-check; }

scripts/setup.sh --tests
echo "test: nine steps, of which check takes longest; the log of each is in build-logs/"
step format scripts/format.sh --check
step start started   # g++
step docs documented
step records recorded
step check checked   # clang with clang-tidy, AddressSanitizer, UndefinedBehaviorSanitizer
step fuzz fuzzed
step wasm wasm
step python packaged
step web web

[ "$failed" = 0 ] || echo "test: next: the logs in build-logs/, then the step that failed alone (CONTRIBUTING.md)"
[ "$failed" != 0 ] || echo "test: next: build/peakmem --help"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
