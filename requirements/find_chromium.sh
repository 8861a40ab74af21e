#!/bin/sh
# Prints the Chromium that the browser tests use; installs it where that is possible.
set -eu
find() {
    command -v chromium || command -v chromium-browser || command -v google-chrome
}

find && exit
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo 'Installing Chromium ...' >&2
    { apt-get update && apt-get install -y chromium; } >/dev/null 2>&1 || true
    find && exit
fi
echo "tfx-kmeans: the browser tests need Chromium; install it (Debian's chromium, or Chrome) and try \
again." >&2
exit 1
