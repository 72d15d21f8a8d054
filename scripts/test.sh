#!/bin/sh
# Lint, types and tests, in the repository's .venv. Arguments go to pytest: sh scripts/test.sh -m slow
set -eu

repository=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$repository/scripts/environment.sh"

if [ "${CI:-}" = true ]; then
    export NO_COLOR=1
fi
export TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-2}"

prepare_environment test
cd -- "$repository"
say "ruff"
"$venv_python" -m ruff check .
"$venv_python" -m ruff format --check .
say "mypy"
"$venv_python" -m mypy
say "pytest"
"$venv_python" -m pytest --numprocesses 2 --dist loadfile "$@"
