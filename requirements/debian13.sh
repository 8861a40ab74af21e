#!/usr/bin/env bash
# Runs a command on a copy of this checkout in a Debian 13 root file system, as root.
#   requirements/debian13.sh COMMAND [ARGUMENT...]
# It is made with debootstrap and kept in the user's cache until this script or the lock changes.
# The folder that TFX_KMEANS_EXCHANGE names is there as well. All mounts are made in a mount
# namespace of the command's own: they end with it, however it ends.
set -euo pipefail
cd "${0%/*}/.."

cache=${XDG_CACHE_HOME:-$HOME/.cache}/tfx-kmeans
recipe=(requirements/debian13.sh requirements/make_venv.sh requirements/tfx-1.21.txt)
root=$cache/debian13-$(cat "${recipe[@]}" | sha256sum | cut -c 1-12)
certificates=/etc/ssl/certs/ca-certificates.crt

stop() {
    echo "tfx-kmeans: $1" >&2
    exit 1
}

in_namespace() {
    unshare --mount --pid --fork --kill-child "$@" &
    namespace=$!
    wait "$namespace"
}

# Whatever ends this script ends what runs in the namespace, and nothing half-built stays behind.
end() {
    if kill -KILL "${namespace:-}" 2>/dev/null; then
        sleep 1
    fi
    rm -rf -- "$root.partial"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

check_machine() {
    [ "$(id -u)" = 0 ] || stop "a root file system is made and entered as root: \
try 'sudo make test-other-line'."
    in_namespace true 2>/dev/null || stop "namespaces cannot be made here: this takes \
CAP_SYS_ADMIN (a container has to be a privileged one)."
    command -v debootstrap >/dev/null || install_debootstrap >"$cache/apt.log" 2>&1 ||
        stop "install debootstrap and try again ($cache/apt.log says why apt-get could not)."
}

install_debootstrap() {
    apt-get -o Acquire::Retries=3 update &&
        DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 install --yes \
            --no-install-recommends debian-archive-keyring debootstrap gpgv
}

# Where this machine has Debian's packages from; nothing if it is no Debian, for the usual place.
mirror() {
    apt-get indextargets --format "\$(REPO_URI)" 'Created-By: Packages' 'Label: Debian' \
        2>/dev/null | head -n 1
}

build() {
    local script=/usr/share/debootstrap/scripts/trixie
    # an older debootstrap does not know Debian 13 by name, but builds it like any since
    [ -e "$script" ] || script=${script%/*}/sid
    echo "Making a Debian 13 root file system in $root ..."
    for pause in 10 60 0; do
        # what an earlier recipe or a killed run left
        rm -rf -- "$cache"/debian13-*
        if in_namespace debootstrap --variant=minbase \
            --include=ca-certificates,g++,make,python3-dev,python3-venv \
            trixie "$root.partial" "$(mirror)" "$script" >"$cache/debootstrap.log" 2>&1; then
            mv "$root.partial" "$root"
            return
        fi
        sleep "$pause"
    done
    tail "$cache/debootstrap.log" >&2
    stop "debootstrap failed: $cache/debootstrap.log says more."
}

# The names, certificates and package registries that this machine uses are used in there too.
share_network() {
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
    local bundle=${SSL_CERT_FILE:-$certificates}
    [ ! -e "$bundle" ] || cp -L "$bundle" "$root$certificates"
    share_file /etc/pip.conf /etc/pip.conf
    share_file /etc/uv/uv.toml /etc/uv/uv.toml
    local own
    for own in .pip/pip.conf .config/pip/pip.conf .config/uv/uv.toml; do
        share_file "$HOME/$own" "/root/$own"
    done
}

share_file() {
    if [ -e "$1" ]; then
        install -D -m 644 "$1" "$root$2"
    else
        rm -f -- "$root$2"
    fi
}

copy_checkout() {
    rm -rf -- "$root/checkout" "$root"/tmp/*
    mkdir "$root/checkout"
    # nor what tests that run meanwhile are writing
    tar --exclude-vcs --exclude='./.venv*' --exclude=./output --exclude=./build --exclude=./dist \
        --exclude=__pycache__ --exclude=./.hypothesis --exclude='./.*_cache' -c . |
        tar -x -C "$root/checkout"
}

enter() {
    mkdir -p "$root/exchange"
    # shellcheck disable=SC2016  # the inner shell expands it
    in_namespace bash -euc '
        root=$1
        mount --rbind /dev "$root/dev"
        mount -t proc proc "$root/proc"
        [ -z "${TFX_KMEANS_EXCHANGE:-}" ] || mount --bind "$TFX_KMEANS_EXCHANGE" "$root/exchange"
        exec chroot "$@"
    ' mount "$root" env --chdir=/checkout "${environment[@]}" "$@"
}

# of this machine's environment, what would not hold in there
environment=(
    -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u PYENV_ROOT -u PYTHONHOME -u PYTHONPATH -u VIRTUAL_ENV
    -u XDG_CACHE_HOME -u XDG_CONFIG_HOME
    HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    TMPDIR=/tmp SSL_CERT_DIR=/etc/ssl/certs SSL_CERT_FILE="$certificates"
    PIP_CERT="$certificates" REQUESTS_CA_BUNDLE="$certificates" CURL_CA_BUNDLE="$certificates"
    ${TFX_KMEANS_EXCHANGE:+TFX_KMEANS_EXCHANGE=/exchange}
)

mkdir -p "$cache"
exec 9>"$cache/lock"
flock -n 9 || { echo "Waiting for another use of $cache ..." && flock 9; }
check_machine
[ -d "$root" ] || build
share_network
copy_checkout
enter "$@"
