#!/bin/sh
# Installs what is missing of the Debian packages (12 or 13) that the project needs; with nothing missing, does nothing.
# Usage: scripts/setup.sh            to build the program
#        scripts/setup.sh --python   to build the Python package
#        scripts/setup.sh --web      to build the page
#        scripts/setup.sh --tests    to test all of it
set -eu

packages="g++ cmake ninja-build nlohmann-json3-dev libyaml-dev libtomlplusplus-dev"
python="python3-venv python3-dev"
web="clang-19 lld-19 binaryen libc++-19-dev-wasm32 libclang-rt-19-dev-wasm32 wasi-libc xz-utils nodejs"
command -v npm >/dev/null || web="$web npm"  # which some packages of nodejs bring with them
case "${1:-}" in
  --python) packages="$packages $python" ;;
  --web) packages="$packages $web" ;;
  --tests)
    packages="$packages $python $web libgtest-dev librapidcheck-dev libbenchmark-dev
      clang-tidy-19 clang-format-19 libclang-rt-19-dev chromium zsh fish groff-base" ;;
esac

if ! command -v apt-get >/dev/null; then
  echo "setup: this is no Debian; the program needs what these packages hold:" $packages >&2
  exit 0
fi

missing=""
for package in $packages; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=""
[ "$(id -u)" = 0 ] || as_root=sudo
apt() {
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 "$@" >"$log" 2>&1 ||
    { cat "$log" >&2; return 1; }
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

echo "setup: installing$missing"
# The lists may be absent or out of date, and the packages gone from where they say.
apt update
apt install -y --no-install-recommends $missing
