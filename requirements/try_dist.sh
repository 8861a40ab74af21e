#!/bin/sh
# Installs each distribution into an empty environment, with TFX as locked, and tries it there.
#   requirements/try_dist.sh PYTHON LOCK DISTRIBUTION...
set -eu
python=$1 lock=$2
shift 2

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

for distribution; do
    echo "Trying $distribution in an empty environment ..."
    rm -rf "$scratch/venv"
    "$python" -m uv venv --quiet --python "$python" "$scratch/venv"
    "$python" -m uv pip install --quiet --system-certs --python "$scratch/venv/bin/python" \
        --constraint "$lock" "$distribution"
    cp tests/support/smoke.py "$scratch/"
    (cd "$scratch" && TF_CPP_MIN_LOG_LEVEL=3 venv/bin/python -W ignore smoke.py)
done
