#!/bin/sh
# Runs every `$ command` of the console blocks in README.md and docs/, and writes what it printed below it.
# Usage: scripts/refresh_docs.sh [--check] [PROGRAM]    --check changes nothing and fails where a file would change
set -eu
cd "$(dirname "$0")/.."
check=0
[ "${1:-}" != --check ] || { check=1; shift; }
program=$(cd "$(dirname "${1:-build/peakmem}")" && pwd)
export PATH="$program:$PATH" NO_COLOR=1 COLUMNS=88

status=0
for file in README.md docs/*.md; do
  new=$(mktemp)
  awk '
    /^```console$/ { inside = 1; print; next }
    inside && /^```$/ { inside = 0; print; next }
    inside && /^\$ / {
      print
      command = substr($0, 3) " 2>&1"
      while ((command | getline line) > 0) print line
      close(command)
      next
    }
    !inside { print }' "$file" >"$new"
  if [ $check = 0 ]; then
    cat "$new" >"$file"
  elif ! diff -u "$file" "$new"; then
    echo "$file: its examples print something else now: run scripts/refresh_docs.sh" >&2
    status=1
  fi
  rm -f "$new"
done
exit $status
