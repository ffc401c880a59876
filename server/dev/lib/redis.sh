# shellcheck shell=bash
# A private Redis, `redis-pool`: the shared one in which registries get an ACL user and an index each. The user
# `default` is off; an administrator has the rights that reconcilers/backends/redis.h asks for. Once made, the ACL
# file is the server's: it holds the registries' users. Loopback only. Needs $state, $fast, $node.

redis_data() { echo "$state/redis/$1"; }
redis_secret() { echo "$state/secrets/$1.flotilla.password"; }

redis_password() { secret_once "$(redis_secret "$1")" 24; }

redis_write_acl() {
    local hash
    hash=$(redis_password "$1" | sha256sum | cut -d ' ' -f 1)
    echo "user default off resetchannels -@all"
    echo "user flotilla on #$hash resetchannels -@all +ping +acl +multi +exec +select +dbsize +flushdb +info" \
        "+client|kill +config|get"
}

redis_write_config() {
    local name=$1 fsync=everysec
    if [[ $fast == yes ]]; then # tests only: a crash of the machine may lose the data, a kill -9 does not
        fsync=no
    fi
    printf '%s\n' "port $(port_of "$name")" "bind $(server_addresses | paste -sd ' ')" "dir \"$(redis_data "$name")\"" \
        "aclfile \"$(redis_data "$name")/users.acl\"" "databases 1024" "save \"\"" "appendonly yes" "appendfsync $fsync"
}

redis_ping() {
    [[ $(REDISCLI_AUTH=$(redis_password "$1") redis-cli --no-auth-warning --user flotilla -h 127.0.0.1 \
        -p "$(port_of "$1")" ping) == PONG ]]
}

redis_up() {
    local name=$1 data
    data=$(redis_data "$name")
    command -v redis-server >/dev/null || die "the server program is missing: install the package redis-server"
    mkdir -p -m 700 "$state/redis" "$data"
    [[ -s $data/users.acl ]] || redis_write_acl "$name" | write_private "$data/users.acl"
    redis_write_config "$name" | write_private "$data/redis.conf"
    proc_start "$name" redis-server "$data/redis.conf"
    proc_wait_ready "$name" 20 redis_ping "$name"
}

redis_stop() { proc_stop "$1" TERM 20; }

redis_purge() { rm -rf "$state/redis"; }
