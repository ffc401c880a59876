# shellcheck shell=bash
# A private object store with users of its own: versitygw over a plain directory. On loopback, without TLS; its
# administrator's key pair is made once and kept in private files. Needs $state, $node.

s3_region=us-east-1

s3_secret() { echo "$state/secrets/$1"; }

# s3_key ACCESS|SECRET BYTES: made once; the environment of the server carries it, never its command line.
s3_key() {
    secret_once "$(s3_secret "s3-pool.$1")" "$2"
}

# Objects' metadata lies in files beside them: extended attributes are not everywhere. The gateway makes none of these
# directories.
launch_s3-pool() {
    local address=127.0.0.1
    [[ $node == no ]] || address=0.0.0.0 # of the node's namespace, where pods are clients
    mkdir -p -m 700 "$state"/s3/{data,iam,meta}
    ROOT_ACCESS_KEY_ID=$(s3_key access 10) ROOT_SECRET_ACCESS_KEY=$(s3_key secret 20) \
        proc_start s3-pool "$(tools)/versitygw" --port "$address:$(port_of s3-pool)" --region "$s3_region" \
        --iam-dir "$state/s3/iam" --health /health --quiet posix --sidecar "$state/s3/meta" "$state/s3/data"
}

wait_s3-pool() {
    proc_wait_ready s3-pool 30 curl -fsS --max-time 1 "http://127.0.0.1:$(port_of s3-pool)/health"
}

env_s3() {
    has_server s3-pool || return 0
    env_line POOL_S3_HOST "$(server_host)"
    env_line POOL_S3_PORT "$(port_of s3-pool)"
    env_line POOL_S3_REGION "$s3_region"
    s3_key access 10 >/dev/null
    env_line POOL_S3_ADMIN_ACCESS_FILE "$(s3_secret s3-pool.access)"
    s3_key secret 20 >/dev/null
    env_line POOL_S3_ADMIN_SECRET_FILE "$(s3_secret s3-pool.secret)"
}
