#!/usr/bin/env bash
# Builds programs of Kubernetes from its Go modules, for tests with the real ones:
#   scripts/kube-tools.sh kubectl [kube-apiserver kube-controller-manager ...]
# They are no dependencies and stay in .cache. Prints the folder that holds them. Needs Go; the first time takes minutes.
set -euo pipefail
version=1.36.3
folder="$(cd "$(dirname "$0")/.." && pwd)/.cache/kubernetes/$version"
mkdir -p "$folder/bin"
cd "$folder"
export GOFLAGS=-buildvcs=false
if [ ! -f go.sum ]; then
  # Kubernetes builds from its own staging folders; as a module it needs their published versions in their place.
  module="$(go list -m -f '{{.GoMod}}' "k8s.io/kubernetes@v$version")"
  {
    printf 'module tools\n\ngo 1.26.0\n\ngodebug default=go1.26\n\nrequire k8s.io/kubernetes v%s\n\nreplace (\n' "$version"
    grep -oE '^\s+k8s\.io/\S+ => \./staging' "$module" | awk -v v="v0.${version#1.}" '{ print "\t" $1 " => " $1 " " v }'
    printf ')\n'
  } > go.mod
  cat > tools.go <<'GO'
package main

import (
	_ "k8s.io/kubectl/pkg/cmd"
	_ "k8s.io/kubernetes/cmd/kube-apiserver/app"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

func main() {}
GO
  go mod tidy >&2
fi
named="-s -w -X k8s.io/component-base/version.gitVersion=v$version -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36"
for program in "$@"; do
  [ -x "bin/$program" ] || go build -ldflags "$named" -o "bin/$program" "k8s.io/kubernetes/cmd/$program" >&2
done
printf '%s\n' "$folder/bin"
