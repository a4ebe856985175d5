#!/usr/bin/env bash
# Builds kubeseal from its Go module, for tests that what Rotor seals opens with the real one. It is no dependency and stays in
# .cache. Prints the program's path. Needs Go; the first time takes minutes. KUBESEAL_VERSION builds another release.
set -euo pipefail
version="${KUBESEAL_VERSION:-0.27.1}"
folder="$(cd "$(dirname "$0")/.." && pwd)/.cache/kubeseal/$version"
program="$folder/kubeseal"
if [ ! -x "$program" ]; then
  mkdir -p "$folder"
  # Complete or not there: an interrupted build must not pass for a program.
  partial="$(mktemp -d "$folder/partial.XXXXXX")"
  trap 'rm -rf "$partial"' EXIT
  GOFLAGS=-buildvcs=false GOBIN="$partial" \
    go install -ldflags "-s -w" "github.com/bitnami-labs/sealed-secrets/cmd/kubeseal@v$version" >&2
  mv "$partial/kubeseal" "$program"
fi
printf '%s\n' "$program"
