#!/bin/sh
# The volna command with its own set-up: ./volna.sh demo, ./volna.sh index ~/Music. The first call installs into .venv.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd -P)
extra=
. "$here/scripts/setup.sh"
exec "$venv/bin/volna" "$@"
