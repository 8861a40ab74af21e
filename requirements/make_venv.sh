#!/bin/sh
# Makes the virtual environment for a line of TFX and installs its lock and this package into it.
#   requirements/make_venv.sh DIRECTORY LOCK PYTHON_VERSION [MORE_REQUIREMENTS]
set -eu
directory=$1 lock=$2 version=$3 more=${4:-}

# With the system's certificates, as pip has them: many a company has one of its own. With bytecode,
# or where Python may not write any, every process compiles TFX anew before it begins.
install() {
    "$directory/bin/uv" pip install --quiet --system-certs --compile-bytecode \
        --python "$directory/bin/python" "$@"
}

# A registry may be slow or away for a moment.
try_thrice() {
    for pause in 10 30 0; do
        "$@" && return
        [ "$pause" = 0 ] || sleep "$pause"
    done
    return 1
}

stop() {
    echo "tfx-kmeans: $1" >&2
    exit 1
}

python=$("${0%/*}/find_python.sh" "$version") ||
    stop "install Python $version with its venv module and headers (Debian's python$version-venv \
and python$version-dev, pyenv, or uv) and try again."
command -v c++ >/dev/null 2>&1 || stop "install a C++ compiler (Debian's g++) and try again: \
some of TFX's requirements are built from source."

echo "Making $directory with $python and $lock ..."
rm -rf "$directory"
"$python" -m venv "$directory"
uv_pin=$(grep '^uv==' "$lock")
try_thrice "$directory/bin/python" -m pip install --quiet --disable-pip-version-check "$uv_pin"
try_thrice install --requirement "$lock"
[ -z "$more" ] || try_thrice install --requirement "$lock" --requirement "$more"
try_thrice install --no-deps --editable .
touch "$directory/.complete"
