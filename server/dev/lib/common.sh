# shellcheck shell=bash
# What every command of server/dev and tests/run needs: messages, paths, small checks. Sourced, never run.

dev_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
repo_dir=$(cd "$dev_dir/../.." && pwd)

say() { printf '%s\n' "$*" >&2; }
die() {
    say "error: $*"
    exit 1
}

now_ms() {
    local t=${EPOCHREALTIME/[.,]/} # microseconds; the separator follows the locale
    echo $((t / 1000))
}

# Runs a command until it succeeds or $1 seconds have passed; the wait is 50 ms, so that start-up is not rounded up.
retry_for() {
    local deadline=$(($(now_ms) + $1 * 1000))
    shift
    until "$@"; do
        (($(now_ms) < deadline)) || return 1
        sleep 0.05
    done
}

# Writes stdin to a file that only its owner can read, whole or not at all.
write_private() {
    local temp
    temp=$(mktemp "$1.XXXXXX") # mktemp makes it 0600
    cat >"$temp"
    mv "$temp" "$1"
}

# Writes stdin to a file unless it holds that already: some servers watch their files, and end or read them again.
write_changed() {
    local wanted
    wanted=$(cat)
    [[ $wanted == "$(cat "$1" 2>/dev/null)" ]] || printf '%s\n' "$wanted" >"$1"
}

random_hex() { openssl rand -hex "$1"; }

# The directory of the built servers (kube-apiserver, kubectl, …); builds them when they are missing. With --node also
# what a real node needs; with names of modules only theirs.
tools_bin() {
    "$repo_dir/tests/tools/build" "$@"
}

# secret_once FILE BYTES: random bytes in hex, made the first time. No newline: a Secret is made of this file as it is.
secret_once() {
    if [[ ! -s $1 ]]; then
        mkdir -p -m 700 "$(dirname "$1")"
        printf %s "$(random_hex "$2")" | write_private "$1"
    fi
    cat "$1"
}

kubectl_is_current() {
    "$1" version --client -o json 2>/dev/null |
        jq -e '.clientVersion.gitVersion | capture("^v1\\.(?<minor>[0-9]+)").minor | tonumber >= 24' >/dev/null
}

# A kubectl that is here already: ours where it was built, else the one on PATH unless it is as old as Debian's.
kubectl_found() {
    local tools candidate
    tools=$(tools_bin --check 2>/dev/null) || tools=/nonexistent
    for candidate in "$tools/kubectl" "$(command -v kubectl || true)"; do
        if [[ -x $candidate ]] && kubectl_is_current "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    return 1
}
