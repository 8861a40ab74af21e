#!/bin/sh
# Prints the path of a Python that can make a virtual environment and build extensions for it.
#   requirements/find_python.sh VERSION
set -eu
version=$1

# Is $1 the wanted version, with its venv module and headers?
fits() {
    "$1" -c "
import ensurepip, os, sys, sysconfig, venv
header = os.path.join(sysconfig.get_path('include'), 'Python.h')
sys.exit('%d.%d' % sys.version_info[:2] != '$version' or not os.path.exists(header))
" >/dev/null 2>&1
}

pyenv_root=${PYENV_ROOT:-$(pyenv root 2>/dev/null || echo "$HOME/.pyenv")}
for candidate in "python$version" python3 "$pyenv_root/versions/$version".*/bin/python; do
    if fits "$candidate"; then
        command -v "$candidate"
        exit
    fi
done
if command -v uv >/dev/null 2>&1; then
    uv python install --quiet "$version" >/dev/null 2>&1 || true
    candidate=$(uv python find "$version" 2>/dev/null || true)
    if [ -n "$candidate" ] && fits "$candidate"; then
        echo "$candidate"
        exit
    fi
fi
exit 1
