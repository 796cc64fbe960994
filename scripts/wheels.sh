#!/bin/sh
# dist/peakmem-VERSION-*.whl for every CPython from 3.10 to 3.14 at hand, each installed in an environment of its own and held
# to the tests of the package there. From 3.12 on they share one wheel (the stable ABI), which the oldest of them builds.
# Usage: scripts/wheels.sh
#        PYTHONS="python3.10 /opt/python3.13/bin/python3" scripts/wheels.sh     those that are not on the path
set -eu
cd "$(dirname "$0")/.."

scripts/setup.sh --python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say() { echo "wheels: $*"; }
quietly() { "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }; }
# "3.11" of a CPython that runs, else nothing.
version_of() { "$1" -c 'import sys; print(*sys.version_info[:2], sep=".") if sys.implementation.name == "cpython" else 0' 2>/dev/null || true; }

# tried PYTHON WHEEL: whether the package's tests pass with that wheel alone, away from its sources.
tried() {
  quietly "$1" -m venv --clear "$work/tried"
  quietly "$work/tried/bin/pip" install --quiet --require-hashes -r python/requirements.lock
  quietly "$work/tried/bin/pip" install --quiet --no-deps --no-index "$2"
  "$work/tried/bin/python" -m pytest -q -p no:cacheprovider --ignore=python/tests/trace python/tests | tail -n 1
}

mkdir -p dist
shared=""
missing=""
for version in 3.10 3.11 3.12 3.13 3.14; do
  python=""
  for each in ${PYTHONS:-} "python$version"; do
    [ -n "$python" ] || [ "$(version_of "$each")" != "$version" ] || python=$each
  done
  [ -n "$python" ] || { missing="$missing $version"; continue; }
  wheel=$shared
  if [ -z "$wheel" ]; then
    say "building for CPython $version"
    rm -rf "$work/built"
    quietly "$python" -m pip wheel --quiet --no-deps --wheel-dir "$work/built" .
    wheel=dist/$(basename "$work"/built/*.whl)
    mv "$work"/built/*.whl "$wheel"
    case $wheel in *-abi3-*) shared=$wheel ;; esac
  fi
  say "CPython $version, $wheel: $(tried "$python" "$wheel")"
done
[ -z "$missing" ] || say "not at hand, so neither built nor tried:$missing"
