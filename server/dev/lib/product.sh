# shellcheck shell=bash
# The steps of `up` that use Flotilla itself, through its public interfaces only: its command line, its HTTP API
# and kubectl. Needs $state, the stack's environment, common.sh, proc.sh, ports.sh.

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
}

# What runs on a real node is what images can be made for; of the version that a new registry gets, the last row.
product_leave_out() {
    local version
    version=$(sed -n 's/^VERSION("\([^"]*\)".*/\1/p' "$repo_dir/api/versions.def" | tail -n 1)
    FLOTILLA_LEAVE_OUT=$("$dev_dir/node/image" --lacking "$version")
    export FLOTILLA_LEAVE_OUT FLOTILLA_UNSAFE=1
    say "left out of each stack: $FLOTILLA_LEAVE_OUT"
}

product_migrate() { "$(product_binary)" migrate; }

product_serves() { curl -fsS --max-time 2 "$product_url/readyz"; }

# A new build, or other binaries of Harbor, replace the running one.
product_start() {
    local hash within=()
    if [[ -n ${NODE_NAME-} ]]; then
        within=("$dev_dir/stack" run "$STACK_DIR") # where pods' addresses are known
        product_leave_out
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

# product_apply: what stands on standard input, as kubectl sends it.
product_apply() {
    KUBECONFIG=$KUBECONFIG_ADMIN "$KUBECTL" apply --server-side --force-conflicts --field-manager flotilla-dev -f -
}

# product_secret NAME KEY FILE KEY FILE: an administrator's Secret, which stands beside the operators.
product_secret() {
    KUBECONFIG=$KUBECONFIG_ADMIN "$KUBECTL" create secret generic "$1" -n flotilla-system \
        --from-file="$2=$3" --from-file="$4=$5" --dry-run=client -o yaml | product_apply
}

# product_pool NAME TYPE HOST PORT MEMBERS: a BackendPool with its own members of the type.
product_pool() {
    product_apply <<YAML
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

product_registry() {
    api_ensure "$(product_registries)" "$product_registry_name" \
        "{\"name\": \"$product_registry_name\", \"spec\": {\"plan\": \"s\", \"host\": \"$product_registry_name.example.com\"}}" >"$(product_dir)/registry"
}

# On a real node nothing is pulled: what the registry's pods wait for is made here.
product_images() {
    [[ -z ${NODE_NAME-} ]] || "$dev_dir/node/images" "$STACK_DIR"
}

product_is_ready() {
    product_images
    api GET "$(product_registries)/$(product_fact registry)" | jq -e '.status.phase == "ready"' >/dev/null
}

product_wait_ready() {
    retry_for 120 product_is_ready || {
        api GET "$(product_registries)/$(product_fact registry)" | jq .
        die "the registry is not ready after 120 s"
    }
}

product_nodes() {
    if [[ -n ${NODE_NAME-} ]]; then
        echo "Databases, object store, Kubernetes and its node are real: pods run, on images made here. No image can be"
        echo "made of, and so left out of each registry is: $FLOTILLA_LEAVE_OUT."
    else
        echo "Databases, object store and Kubernetes are real; the nodes are simulated, so pods become Ready"
        echo "without running, and no Harbor answers at the registry's URL."
    fi
}

product_summary() {
    local get
    get="curl -sS -H @$(product_dir)/headers $product_url"
    cat <<TEXT

Flotilla runs (ready after $1). $(product_nodes)
  API      $product_url
  key      $(product_fact api-key)   (kept in $(product_dir)/api-key)
  kubectl  export KUBECONFIG=$KUBECONFIG_ADMIN PATH=$TOOLS_BIN:\$PATH; kubectl get flotilla -A

Try next, the kubectl lines after the export above:
  $get$(product_registries) | jq
  $get/v1/status | jq
  kubectl describe registries -A   # events and conditions of the registry
  kubectl apply -f $repo_dir/crds/examples/registry.yaml   # one more, by the operator's path
  tail -f $state/log/flotillad.log   # what the three roles do
  server/dev/down [--purge]   # stop; with --purge forget everything
TEXT
}
