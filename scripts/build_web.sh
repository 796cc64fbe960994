#!/bin/sh
# Builds the page, one file with everything in it: build-web/index.html. Does again only what changed.
set -eu
cd "$(dirname "$0")/.."

scripts/build_wasm.sh
cd web
if ! cmp -s package-lock.json node_modules/.built-from; then
  npm ci --no-audit --no-fund --loglevel=error
  cp package-lock.json node_modules/.built-from
fi
newer=$(find . ../build-wasm/*.wasm -path ./node_modules -prune -o -type f -newer ../build-web/index.html -print 2>/dev/null) ||
  newer=all
[ -n "$newer" ] || exit 0
npm run --silent check
npm run --silent build
