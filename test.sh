#!/bin/sh
# The tests with their own set-up: lint, types, tests. Arguments go to pytest: ./test.sh tests/test_cli.py
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd -P)
extra=dev
. "$here/scripts/setup.sh"
cd "$here"
"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check .
"$venv/bin/mypy"
exec "$venv/bin/pytest" --numprocesses auto --dist loadfile "$@"
