#!/usr/bin/env bash
# Makes a Python environment with moto's server, boto3 and the AWS CLI, for tests against AWS's APIs with foreign
# clients. It is no dependency and stays in .cache. Prints the environment's folder. Needs Python 3.10 or newer.
set -euo pipefail
moto="${MOTO_VERSION:-}"
folder="$(cd "$(dirname "$0")/.." && pwd)/.cache/moto"
if [ ! -e "$folder/complete" ]; then
  mkdir -p "$(dirname "$folder")"
  rm -rf "$folder"
  # An interrupted installation has no mark and is made anew.
  python3 -m venv "$folder" >&2
  "$folder/bin/pip" install --quiet --disable-pip-version-check \
    "moto[server]${moto:+==$moto}" boto3 awscli >&2
  touch "$folder/complete"
fi
printf '%s\n' "$folder"
