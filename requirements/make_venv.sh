#!/bin/sh
# Makes the virtual environment for a line of TFX and installs its lock and this package into it.
#   requirements/make_venv.sh DIRECTORY LOCK PYTHON_VERSION
set -eu
directory=$1 lock=$2 version=$3

# Can $1 make a virtual environment and build extensions, and is it the wanted version?
fits() {
    "$1" -c "
import ensurepip, os, sys, sysconfig, venv
header = os.path.join(sysconfig.get_path('include'), 'Python.h')
sys.exit('%d.%d' % sys.version_info[:2] != '$version' or not os.path.exists(header))
" >/dev/null 2>&1
}

find_python() {
    pyenv_root=${PYENV_ROOT:-$(pyenv root 2>/dev/null || echo "$HOME/.pyenv")}
    for candidate in "python$version" python3 "$pyenv_root/versions/$version".*/bin/python; do
        if fits "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    if command -v uv >/dev/null 2>&1; then
        uv python install --quiet "$version" >/dev/null 2>&1 || true
        candidate=$(uv python find "$version" 2>/dev/null || true)
        if [ -n "$candidate" ] && fits "$candidate"; then
            echo "$candidate"
        fi
    fi
}

# With the system's certificates, as pip has them: many a company has one of its own.
install() {
    "$directory/bin/uv" pip install --quiet --system-certs --python "$directory/bin/python" "$@"
}

stop() {
    echo "tfx-kmeans: $1" >&2
    exit 1
}

python=$(find_python)
[ -n "$python" ] || stop "install Python $version with its venv module and headers (Debian's \
python$version-venv and python$version-dev, pyenv, or uv) and try again."
command -v c++ >/dev/null 2>&1 || stop "install a C++ compiler (Debian's g++) and try again: \
some of TFX's requirements are built from source."

echo "Making $directory with $python and $lock ..."
rm -rf "$directory"
"$python" -m venv "$directory"
uv_pin=$(grep '^uv==' "$lock")
"$directory/bin/python" -m pip install --quiet --disable-pip-version-check "$uv_pin"
install --requirement "$lock"
install --no-deps --editable .
touch "$directory/.complete"
