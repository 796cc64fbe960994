#!/bin/sh
# What is given out: dist/peakmem-VERSION-linux-MACHINE.tar.gz, a static program with its manual and completions, and a
# Debian package of the same. Times are the commit's and owners root, so one build gives the same bytes whenever it is packed.
set -eu
cd "$(dirname "$0")/.."

scripts/setup.sh
log=$(mktemp)
trap 'rm -f "$log"' EXIT
quietly() { "$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }; }

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
umask 022
echo "release: building the program; the first time takes minutes, all cores at work"
quietly cmake --preset release
quietly cmake --build build --target peakmem
version=$(build/peakmem --version | cut -d' ' -f2)
name=peakmem-$version-linux-$(uname -m)

rm -rf "dist/$name" && mkdir -p dist
quietly cmake --install build --prefix "dist/$name" --strip
cp LICENSE README.md "dist/$name/"
tar -C dist --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -cf - "$name" |
  gzip -9n >"dist/$name.tar.gz"
rm -rf "dist/$name"
quietly cpack --config build/CPackConfig.cmake -B "$PWD/dist"
rm -rf dist/_CPack_Packages
(cd dist && sha256sum "$name.tar.gz" peakmem_"$version"_*.deb)
echo "next: sudo apt install ./dist/peakmem_${version}_$(dpkg --print-architecture 2>/dev/null || uname -m).deb"
