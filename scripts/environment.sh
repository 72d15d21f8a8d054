# What train.sh and test.sh share: the repository's .venv, with a Python that TensorFlow and TensorFlow-Text run on.
#
# Sourced, with `repository` set to the repository's folder. `prepare_environment [EXTRA ...]` leaves `venv_python` set.

say() {
    printf '==> %s\n' "$*"
}

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Runs the interpreter rather than looking at its name: pyenv's shims exist for versions that do not run.
is_supported_python() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_supported_python "$PYTHON" || fail "PYTHON=$PYTHON is not a working Python 3.11, 3.12 or 3.13"
        base_python=$PYTHON
        return
    fi
    for base_python in python3.12 python3.11 python3.13 python3 python; do
        if is_supported_python "$base_python"; then
            return
        fi
    done
    fail "no Python 3.11, 3.12 or 3.13 found, and TensorFlow-Text runs on no other; install one," \
        "or name one by its path: PYTHON=/path/to/python3.12 sh scripts/train.sh"
}

make_venv() {
    if is_supported_python "$venv_python" && "$venv_python" -m pip --version >/dev/null 2>&1; then
        return
    fi
    find_python
    "$base_python" -c 'import ensurepip, venv' >/dev/null 2>&1 || fail "$base_python cannot make virtual environments:" \
        "it lacks venv or ensurepip (on Debian and Ubuntu: apt-get install python3-venv)"
    say "Making .venv with $("$base_python" --version)"
    "$base_python" -m venv --clear "$repository/.venv"
}

# Changes when what is installed no longer is what pyproject.toml asks for, or the repository or its Python has moved.
installation_key() {
    { cat "$repository/pyproject.toml"; printf '%s\n' "$repository"; "$venv_python" --version; } | cksum
}

is_installed() {
    [ -f "$repository/.venv/installed-$1" ] && [ "$(cat "$repository/.venv/installed-$1")" = "$key" ]
}

install() {
    key=$(installation_key)
    missing=
    for part in base "$@"; do
        is_installed "$part" || missing="$missing${missing:+,}$part"
    done
    if [ -z "$missing" ]; then
        return
    fi
    say "Installing into .venv ($missing): about 700 MB, a minute or two where nothing is cached"
    # `base` names no extra of pyproject.toml, and is dropped from the list.
    extras=${missing#base}
    extras=${extras#,}
    "$venv_python" -m pip install --quiet --quiet --no-compile --disable-pip-version-check --editable "$repository${extras:+[$extras]}"
    for part in base "$@"; do
        printf '%s\n' "$key" >"$repository/.venv/installed-$part"
    done
}

prepare_environment() {
    venv_python=$repository/.venv/bin/python
    make_venv
    if nvidia-smi >/dev/null 2>&1; then
        set -- "$@" gpu
    fi
    install "$@"
}
