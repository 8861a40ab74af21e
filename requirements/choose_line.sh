#!/bin/sh
# Chooses the line of TFX for this machine. Prints the line, the Python it takes, and why.
#   requirements/choose_line.sh [1.16|1.21]
set -eu
wanted=${1:-}

# the wheels of ml-metadata and tensorflow-data-validation 1.21 are built against this glibc
needed=2.39
glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null || echo 'glibc 0.0')
glibc=${glibc#glibc }

stop() {
    echo "tfx-kmeans: $1" >&2
    exit 1
}

is_new_enough() {
    [ "$(printf '%s\n' "$needed" "$glibc" | sort -V | head -n 1)" = "$needed" ]
}

has_python() {
    "${0%/*}/find_python.sh" "$1" >/dev/null
}

case $wanted in
1.16) echo '1.16 3.10 as TFX=1.16 says' ;;
1.21)
    is_new_enough || stop "TFX 1.21 needs glibc $needed and this machine has $glibc: \
'make test-other-line' runs it in a Debian 13 root file system."
    echo '1.21 3.13 as TFX=1.21 says'
    ;;
'')
    if ! is_new_enough; then
        echo "1.16 3.10 TFX 1.21 needs glibc $needed and this machine has $glibc"
    elif ! has_python 3.13 && has_python 3.10; then
        echo '1.16 3.10 TFX 1.21 needs Python 3.13 and this machine has 3.10'
    else
        echo "1.21 3.13 the current line, and glibc $glibc will do"
    fi
    ;;
*) stop "TFX is 1.16 or 1.21, not '$wanted'." ;;
esac
