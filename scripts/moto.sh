#!/usr/bin/env bash
# Makes a Python environment with moto, a server that answers like AWS, boto3, AWS's client for Python, and AWS's
# command line, for tests of what speaks to AWS. They are no dependencies and stay in .cache. Prints the folder that holds python and moto_server.
# Needs Python 3 with its venv module (Debian: python3-venv).
set -euo pipefail
moto=5.2.5
boto3=1.44.5
awscli=1.46.3
folder="$(cd "$(dirname "$0")/.." && pwd)/.cache/moto/$moto-$boto3-$awscli"
if [ ! -x "$folder/bin/moto_server" ]; then
  mkdir -p "$(dirname "$folder")"
  # Programs in an environment name its path, so it can't be moved into place: one without a server is made again.
  rm -rf "$folder"
  python3 -m venv "$folder" >&2
  # The server's program comes last, when everything that it needs is there.
  "$folder/bin/pip" install --quiet --disable-pip-version-check "boto3==$boto3" "awscli==$awscli" "psycopg[binary]==3.3.9" >&2
  "$folder/bin/pip" install --quiet --disable-pip-version-check "moto[server]==$moto" >&2
fi
printf '%s\n' "$folder/bin"
