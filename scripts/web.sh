#!/bin/sh
# Installs what is missing, builds the page and serves it on this machine alone. Usage: scripts/web.sh [PORT, else 8000]
# The page is one file, build-web/index.html: it works from any folder, from any server, and without a network.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)

"$root/scripts/setup.sh" --web
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "web: building the page; the first time takes minutes, all cores at work"
"$root/scripts/build_web.sh" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
echo "web: next: open the address below; the page is also a file of its own, build-web/index.html"
cd "$root/web" && exec npx vite preview --host localhost --port "${1:-8000}" --strictPort
