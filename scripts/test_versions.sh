#!/bin/sh
# Tests with the oldest or the newest versions of all dependencies that pyproject.toml allows, in build/VERSIONS.
#
#   sh scripts/test_versions.sh oldest            # those of tests/constraints-oldest.txt
#   sh scripts/test_versions.sh newest tests      # all tests; arguments go to pytest
set -eu

repository=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$repository/scripts/environment.sh"

versions=${1:-}
case "$versions" in
    oldest)
        constraint="--constraint $repository/tests/constraints-oldest.txt"
        PYTHON=${PYTHON:-python3.11} # most of them have no packages for later ones
        ;;
    newest) constraint="--upgrade --upgrade-strategy eager" ;;
    *) fail "the first argument must be oldest or newest. Received: $versions" ;;
esac
shift
if [ "$#" -eq 0 ]; then
    set -- tests/electra_span/tokenization tests/electra_span/test_pretrained.py tests/electra_span/test_training.py \
        tests/pretrain/sources tests/pretrain/test_build_sources.py tests/finetune/metrics
fi

find_python
cd -- "$repository"
"$base_python" -m venv --clear "build/$versions"
say "Installing the $versions versions into build/$versions"
# $constraint is several words.
"build/$versions/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check $constraint --editable '.[test]'
say "pytest"
TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-2}" "build/$versions/bin/python" -m pytest "$@"
