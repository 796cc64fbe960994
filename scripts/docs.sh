#!/bin/sh
# The documentation as a site: build-docs/index.html. A warning is an error.
# Usage: scripts/docs.sh            builds it
#        scripts/docs.sh --serve    serves it on localhost, and builds it again when a page changes
#        scripts/docs.sh --check    only looks whether every page of docs/ is in the nav of mkdocs.yml, and nothing else
set -eu
cd "$(dirname "$0")/.."

if [ "${1:-}" = --check ]; then
  status=0
  pages=$(cd docs && ls ./*.md | sed 's|^\./||')
  named=$(sed -n '/^nav:/,$ s/^ *- .*: \([a-z0-9-]*\.md\)$/\1/p' mkdocs.yml)
  for page in $pages; do
    echo "$named" | grep -qx "$page" || { echo "docs/$page: is not in the nav of mkdocs.yml"; status=1; }
  done
  for page in $named; do
    case $page in index.md | contributing.md | changelog.md) continue ;; esac
    [ -f "docs/$page" ] || { echo "mkdocs.yml: docs/$page is not there"; status=1; }
  done
  exit $status
fi

scripts/setup.sh --python
log=$(mktemp)
trap 'rm -f "$log"' EXIT
quietly() { "$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }; }
[ -x .venv-docs/bin/pip ] || quietly python3 -m venv .venv-docs
cmp -s scripts/docs-requirements.txt .venv-docs/requirements.txt || {
  quietly .venv-docs/bin/pip install --quiet --disable-pip-version-check -r scripts/docs-requirements.txt
  cp scripts/docs-requirements.txt .venv-docs/requirements.txt
}
export NO_MKDOCS_2_WARNING=1
[ "${1:-}" != --serve ] || exec .venv-docs/bin/mkdocs serve --strict
.venv-docs/bin/mkdocs build --strict --quiet
echo "docs: build-docs/index.html"
