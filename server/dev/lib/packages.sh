# shellcheck shell=bash
# Debian packages by name: which are missing, and installing them. Needs root or sudo for the second only.

run_packages=(
    gcc libc6-dev cmake ninja-build pkg-config
    libmicrohttpd-dev libpq-dev libhiredis-dev libcurl4-openssl-dev libjansson-dev libssl-dev libyaml-dev uthash-dev
    postgresql redis-server openssl curl ca-certificates jq
    python3-pip # tests/tools/build fetches Go with it where no fitting Go is installed
)
fetch_packages=(python3-pip ca-certificates) # with these alone the object store can be built
node_packages=( # only where a real node is asked for
    containerd runc containernetworking-plugins nftables iproute2
    nginx docker-registry # what its images are made of; redis-server is above
)
test_packages=(
    git libcmocka-dev clang-format-14 clang-tidy-14 shellcheck
    python3-pytest python3-yaml python3-psycopg2 python3-jsonschema python3-kubernetes
    spin # tests/model
)
node_test_packages=(skopeo)
# tests/proofs/fresh-fuzz
fuzz_packages=(clang-14 libclang-rt-14-dev)
# tests/proofs/fresh-root
root_packages=(debootstrap)

packages_listed=no # not by this process: lists grow old

packages_missing() {
    local name
    for name in "$@"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) == installed ]] || echo "$name"
    done
}

as_root() {
    if ((EUID == 0)); then
        "$@"
    else
        sudo "$@"
    fi
}

# Packages of servers make and start one of their own. We need the programs only, so the packagers' own switches
# turn that off while we install: PostgreSQL's, and policy-rc.d for all others unless the machine has one. The files
# are ours by their names, and go even when we are interrupted.
packages_install() (
    switch=/etc/postgresql-common/createcluster.d/flotilla-no-cluster.conf
    policy=/usr/sbin/policy-rc.d
    if [[ -e $policy ]] && ! grep -q '^# flotilla:' "$policy"; then policy=; fi
    trap 'as_root rm -f "$switch" $policy; as_root rmdir --ignore-fail-on-non-empty "${switch%/*}"' EXIT
    as_root mkdir -p "${switch%/*}"
    echo "create_main_cluster = false" | as_root tee "$switch" >/dev/null
    if [[ -n $policy ]]; then
        printf '%s\n' '#!/bin/sh' '# flotilla: no service starts while packages are installed' 'exit 101' |
            as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    # The first finishes what an interrupted run left half done.
    as_root dpkg --configure -a &&
        { [[ $packages_listed == yes ]] || as_root apt-get update -q; } &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" &&
        packages_disable_new_services "$@"
)

# A service that came with what we installed does not start with the machine either.
packages_disable_new_services() {
    local name
    command -v systemctl >/dev/null || return 0
    for name in redis-server containerd nginx docker-registry; do
        if [[ " $* " == *" $name "* ]]; then
            as_root systemctl --quiet disable "$name" 2>/dev/null || true
        fi
    done
}

# packages_ensure install|list PACKAGE…: installs what is missing, or prints it and returns 3.
packages_ensure() {
    local mode=$1 missing=()
    shift
    mapfile -t missing < <(packages_missing "$@")
    ((${#missing[@]})) || return 0
    if [[ $mode == list ]]; then
        say "missing packages: ${missing[*]}"
        return 3
    fi
    ((EUID == 0)) || command -v sudo >/dev/null ||
        die "neither root nor sudo; let somebody with root run: apt-get install ${missing[*]}"
    packages_install "${missing[@]}"
    packages_listed=yes
}
