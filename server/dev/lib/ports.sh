# shellcheck shell=bash
# Free ports on loopback. A port stays the same for the life of the state directory, so that a restarted server
# is found again; it is taken below the kernel's range for outgoing connections, which could grab it while the
# server is down. Needs $state.

port_claims=${TMPDIR:-/tmp}/flotilla-ports-$(id -u)

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Two stacks that start together must not pick the same number before either listens: the link is the claim. A
# claim whose state directory is gone counts for nothing.
port_claim() {
    local claim=$port_claims/$1
    port_claims_make
    if [[ -L $claim && ! -d $(readlink "$claim") ]]; then
        rm -f "$claim"
    fi
    ln -sT "$state" "$claim" 2>/dev/null
}

# Everybody may write where it stands: what somebody else put there first is not used. It goes with its last claim.
port_claims_make() {
    local whose
    mkdir -p -m 700 "$port_claims" 2>/dev/null || true
    whose=$(stat -c '%u %A' "$port_claims" 2>/dev/null) || return 0
    [[ $whose == "$EUID d"* ]] || die "$port_claims is no directory of yours: remove it, or set TMPDIR"
}

port_pick() {
    local port _try
    for _try in {1..200}; do
        port=$((20000 + RANDOM % 12000))
        if port_is_free "$port" && port_claim "$port"; then
            echo "$port"
            return
        fi
    done
    die "no free port on loopback between 20000 and 32000"
}

# port_of NAME: the port of NAME, picked at the first call.
port_of() {
    local file=$state/ports/$1
    if [[ ! -s $file ]]; then
        mkdir -p "$state/ports"
        port_pick >"$file.new"
        mv "$file.new" "$file"
    fi
    cat "$file"
}

ports_release() {
    local file claim
    for file in "$state"/ports/*; do
        [[ -s $file ]] || continue
        claim=$port_claims/$(<"$file")
        [[ $(readlink "$claim") != "$state" ]] || rm -f "$claim"
    done
    rmdir "$port_claims" 2>/dev/null || true # only when nobody else claims a port
}

# Dies when somebody else has the port of NAME, which is about to start: he would be sent our passwords. A killed server's
# last thread may hold it for a moment.
port_check() {
    local port
    [[ -s $state/ports/$1 ]] || return 0
    port=$(<"$state/ports/$1")
    retry_for 3 port_is_free "$port" ||
        die "$1: port $port on loopback is taken by another process: end that, or purge what is here, which picks other ports"
}

# port_is_held NAME PID: whoever listens on the port of NAME, in the network of PID, runs under the account of PID.
port_is_held() {
    local port line uid
    [[ -s $state/ports/$1 ]] || return 0
    port=$(printf %04X "$(<"$state/ports/$1")")
    line=$(grep -s ^Uid: "/proc/$2/status") || return 1
    read -r _ _ uid _ <<<"$line"
    grep -Eqs ":$port [0:]+ 0A [^ ]+ [^ ]+ [^ ]+ +$uid " "/proc/$2/net/tcp" "/proc/$2/net/tcp6" # 0A: LISTEN
}
