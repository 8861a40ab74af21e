#!/bin/sh
# Installs each distribution into empty environments as a user does, without a lock: with pip and
# with uv. Prints how long each took and what it chose, and tries it there.
#   requirements/try_dist.sh PYTHON DISTRIBUTION...
set -eu
python=$1
shift
# seconds until an installation is taken for one that does not end
limit=600

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp tests/support/smoke.py "$scratch/"

make_venv() {
    case $1 in
    pip) "$python" -m venv "$scratch/venv" ;;
    uv) "$python" -m uv venv --quiet --python "$python" "$scratch/venv" ;;
    esac
}

install() {
    case $1 in
    pip) timeout "$limit" "$scratch/venv/bin/python" -m pip install --quiet "$2" ;;
    uv) timeout "$limit" "$python" -m uv pip install --quiet --system-certs \
        --python "$scratch/venv/bin/python" "$2" ;;
    esac
}

for distribution; do
    for resolver in pip uv; do
        rm -rf "$scratch/venv"
        make_venv $resolver
        echo "$distribution, $resolver, no constraints ..."
        start=$(date +%s)
        install $resolver "$distribution" >"$scratch/log" 2>&1 || {
            cat "$scratch/log" >&2
            echo "tfx-kmeans: $resolver could not install $distribution within $limit s." >&2
            exit 1
        }
        echo "  installed in $(($(date +%s) - start)) s"
        (cd "$scratch" && TF_CPP_MIN_LOG_LEVEL=3 venv/bin/python -W ignore smoke.py)
    done
done
