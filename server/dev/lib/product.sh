# shellcheck shell=bash
# The steps of `up` that use Flotilla itself, through its public interfaces only: its command line, its HTTP API
# and Kubernetes'. Needs $state, $kube, $scale, the stack's environment, common.sh, proc.sh, ports.sh, devcluster.sh.

product_cell_name=dev
product_tenant_name=acme
product_registry_name=demo

product_dir() { echo "$state/product"; }
product_fact() { cat "$(product_dir)/$1"; }
product_binary() { echo "$repo_dir/build/release/flotillad"; }

# The configuration of every flotillad that is started here.
product_load() {
    mkdir -p -m 700 "$(product_dir)/cells"
    product_url=http://127.0.0.1:${FLOTILLAD_PORT:-$(port_of flotillad)}
    ln -sfn "$KUBECONFIG_FLEET" "$(product_dir)/cells/$product_cell_name.kubeconfig"
    export FLOTILLA_DATABASE_OWNER=$FLEET_PG_OWNER
    export FLOTILLA_DATABASE_SERVE=$FLEET_PG_SERVE
    export FLOTILLA_DATABASE_FLEET=$FLEET_PG_FLEET
    export FLOTILLA_KEK_FILE=$FLEET_KEK_FILE
    export FLOTILLA_KUBECONFIG=$KUBECONFIG_OPERATE
    FLOTILLA_CELLS_DIR=$(product_dir)/cells
    export FLOTILLA_CELLS_DIR
    [[ -z ${NODE_NAME-} ]] || product_leave_out
}

# What runs on a real node is what images can be made for; of the version that a new registry gets, the last row.
product_leave_out() {
    local version
    version=$(sed -n 's/^VERSION("\([^"]*\)".*/\1/p' "$repo_dir/api/versions.def" | tail -n 1)
    FLOTILLA_LEAVE_OUT=$("$dev_dir/node/image" --lacking "$version")
    export FLOTILLA_LEAVE_OUT FLOTILLA_UNSAFE=1
}

product_migrate() { "$(product_binary)" migrate; }

product_serves() { curl -fsS --max-time 2 "$product_url/readyz"; }

# A new build, or other binaries of Harbor, replace the running one.
product_start() {
    local hash within=()
    if [[ -n ${NODE_NAME-} ]]; then
        within=("$dev_dir/stack" run "$STACK_DIR") # where pods' addresses are known
    fi
    hash=$(echo "${FLOTILLA_LEAVE_OUT-}" | cat - "$(product_binary)" | sha256sum | cut -d' ' -f1)
    if proc_alive flotillad && [[ $(product_fact running 2>/dev/null) != "$hash" ]]; then
        proc_stop flotillad TERM 25
    fi
    proc_start flotillad "${within[@]}" "$(product_binary)" all --listen "${product_url#http://}"
    echo "$hash" >"$(product_dir)/running"
    proc_wait_ready flotillad 30 product_serves
}

# The key goes to curl in a file of headers: a command line can be read by every user of the machine.
product_key() {
    if [[ -s $(product_dir)/headers ]] && api GET /v1/tenants >/dev/null; then
        return
    fi
    "$(product_binary)" bootstrap-key | tail -n 1 | write_private "$(product_dir)/api-key"
    echo "Authorization: Bearer $(product_fact api-key)" | write_private "$(product_dir)/headers"
    api GET /v1/tenants >/dev/null
}

# api METHOD PATH [BODY]: prints the answer's body; fails, and shows it, when the status is not 2xx.
api() {
    local body=() answer status
    [[ -z ${3-} ]] || body=(-H 'Content-Type: application/json' --data-binary "$3")
    answer=$(curl -sS --max-time 30 -X "$1" -H "@$(product_dir)/headers" "${body[@]}" -w '\n%{http_code}' \
        "$product_url$2") || return
    status=${answer##*$'\n'}
    printf '%s\n' "${answer%$'\n'*}"
    [[ $status == 2* ]] || {
        say "$1 $2: HTTP $status: ${answer%$'\n'*}"
        return 1
    }
}

# api_ensure PATH NAME BODY: the id (of a cell: the name) of what has that name in the list, made if it is not there.
api_ensure() {
    local id
    id=$(api GET "$1" | jq -r --arg name "$2" 'first(.items[]? | select(.name == $name) | .id // .name) // empty')
    [[ -n $id ]] || id=$(api POST "$1" "$3" | jq -er '.id // .registry.id // .name')
    echo "$id"
}

product_kubectl() { KUBECONFIG=$KUBECONFIG_ADMIN "$KUBECTL" "$@"; }

# product_embedded COMMAND…: one of devcluster.sh's, about the cluster of the stack.
product_embedded() { (state=$STACK_DIR && "$@"); }

# product_apply PATH: the manifest on standard input, which is the object at PATH of the Kubernetes API.
product_apply() {
    if [[ $kube == dev ]]; then
        product_embedded devcluster_put "$KUBE_API_URL$1"
    else
        product_kubectl apply --server-side --force-conflicts --field-manager flotilla-dev -f -
    fi
}

# product_read PATH: the JSON at PATH of the Kubernetes API.
product_read() {
    if [[ $kube == dev ]]; then
        product_embedded devcluster_curl -f "$KUBE_API_URL$1"
    else
        product_kubectl get --raw "$1"
    fi
}

# product_secret NAME KEY FILE KEY FILE: an administrator's Secret, which stands beside the operators.
product_secret() {
    product_apply "/api/v1/namespaces/flotilla-system/secrets/$1" <<YAML
apiVersion: v1
kind: Secret
metadata: {name: $1, namespace: flotilla-system}
data:
  $2: $(base64 -w0 "$3")
  $4: $(base64 -w0 "$5")
YAML
}

# product_pool NAME TYPE HOST PORT MEMBERS: a BackendPool with its own members of the type.
product_pool() {
    product_apply "/apis/registry.flotilla.dev/v1alpha1/backendpools/$1" <<YAML
apiVersion: registry.flotilla.dev/v1alpha1
kind: BackendPool
metadata: {name: $1}
spec:
  type: $2
  endpoint: {host: $3, port: $4, sslMode: disable} # loopback
  adminSecretRef: {name: $1}
  slots: 100
  $5
YAML
}

# The names of administrators are no secrets, but Secrets are made of files.
product_pools() {
    echo "$POOL_PG_ADMIN_USER" | write_private "$(product_dir)/pg-user"
    echo "$POOL_REDIS_ADMIN_USER" | write_private "$(product_dir)/redis-user"
    product_secret dev-postgres username "$(product_dir)/pg-user" password "$POOL_PG_ADMIN_PASSWORD_FILE"
    product_secret dev-redis username "$(product_dir)/redis-user" password "$POOL_REDIS_ADMIN_PASSWORD_FILE"
    product_secret dev-store accessKey "$POOL_S3_ADMIN_ACCESS_FILE" secretKey "$POOL_S3_ADMIN_SECRET_FILE"
    product_pool dev-postgres PostgreSQL "$POOL_PG_HOST" "$POOL_PG_PORT" \
        "maintenanceDatabase: $POOL_PG_MAINTENANCE_DATABASE"$'\n  connections: 20000 # simulated pods open none'
    product_pool dev-redis Redis "$POOL_REDIS_HOST" "$POOL_REDIS_PORT" ""
    product_pool dev-store S3 "$POOL_S3_HOST" "$POOL_S3_PORT" "driver: versitygw"
}

product_tenant() {
    api_ensure /v1/cells "$product_cell_name" \
        "{\"name\": \"$product_cell_name\", \"kubeconfig\": \"$product_cell_name.kubeconfig\", \"capacity\": 100}" >/dev/null
    api_ensure /v1/tenants "$product_tenant_name" "{\"name\": \"$product_tenant_name\"}" >"$(product_dir)/tenant"
}

product_registries() { echo "/v1/tenants/$(product_fact tenant)/registries"; }

# The registries that `up` makes, as the API lists them: `demo`, of which it shows more, and `demo-2` to `demo-N`.
product_mine() {
    api GET "$(product_registries)?limit=500" | jq --arg name "$product_registry_name" \
        '[.items[] | select(.name == $name or (.name | startswith($name + "-")))]'
}

product_ready() { product_mine | jq 'map(select(.status.phase == "ready")) | length'; }

# As many as $scale, the first among them; what is there already stays.
product_registries_make() {
    local there name number
    there=$(product_mine | jq -r '.[].name')
    for ((number = 1; number <= scale; number++)); do
        name=$product_registry_name
        ((number == 1)) || name+=-$number
        [[ $'\n'$there$'\n' == *$'\n'$name$'\n'* ]] || api POST "$(product_registries)" \
            "{\"name\": \"$name\", \"spec\": {\"plan\": \"s\", \"host\": \"$name.example.com\"}}" >/dev/null
    done
}

product_first() { product_mine | jq --arg name "$product_registry_name" '.[] | select(.name == $name)'; }

# On a real node nothing is pulled: what the registry's pods wait for is made here.
product_images() {
    [[ -z ${NODE_NAME-} ]] || "$dev_dir/node/images" "$STACK_DIR"
}

product_is_ready() {
    product_images
    (($(product_ready) >= scale))
}

product_wait_ready() {
    local seconds=$((120 + 5 * scale))
    retry_for "$seconds" product_is_ready || {
        product_mine | jq 'map(select(.status.phase != "ready")) | .[0]'
        die "after $seconds s $(product_ready) of $scale registries are ready"
    }
}
