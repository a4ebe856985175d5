#!/usr/bin/env bash
# Builds Helm from its Go module, for tests of the chart with the real one. It is no dependency and stays in .cache.
# Prints the program's path. Needs Go; the first time takes minutes. HELM_VERSION builds another release.
set -euo pipefail
version="${HELM_VERSION:-4.3.1}"
folder="$(cd "$(dirname "$0")/.." && pwd)/.cache/helm/$version"
program="$folder/helm"
if [ ! -x "$program" ]; then
  mkdir -p "$folder"
  # Complete or not there: an interrupted build must not pass for a program.
  partial="$(mktemp -d "$folder/partial.XXXXXX")"
  trap 'rm -rf "$partial"' EXIT
  GOFLAGS=-buildvcs=false GOBIN="$partial" \
    go install -ldflags "-s -w" "helm.sh/helm/v${version%%.*}/cmd/helm@v$version" >&2
  mv "$partial/helm" "$program"
fi
printf '%s\n' "$program"
