# shellcheck shell=bash
# What `up` shows at its end: the registry's objects, and where to look next. Needs product.sh and what that needs.

# The lists of the Kubernetes API in which objects of one namespace are shown.
closing_lists=(
    apis/registry.flotilla.dev/v1alpha1:registries apis/apps/v1:deployments apis/apps/v1:statefulsets apis/batch/v1:jobs
    api/v1:services api/v1:configmaps api/v1:secrets api/v1:pods
)

closing_objects() {
    local namespace list
    namespace=$(product_first | jq -r .placement.namespace)
    echo "Objects of the registry $product_registry_name, in the namespace $namespace:"
    for list in "${closing_lists[@]}"; do
        product_read "/${list%:*}/namespaces/$namespace/${list#*:}" |
            jq -r --arg list "${list#*:}" \
                'select(.items != []) | "  \($list): \([.items[].metadata.name] | sort | join(" "))"'
    done
}

closing_what_is_real() {
    if [[ -n ${NODE_NAME-} ]]; then
        echo "Databases, object store, Kubernetes and its node are real: pods run, on images made here. No image can be"
        echo "made of, and so left out of each registry is: $FLOTILLA_LEAVE_OUT."
    elif [[ $kube == real ]]; then
        echo "Databases, object store and Kubernetes are real; the nodes are simulated, so pods become Ready"
        echo "without running, and no Harbor answers at the registry's URL."
    elif [[ $kube == dev ]]; then
        echo "Databases and object store are real. Kubernetes is embedded (server/dev/devcluster): its objects live in"
        echo "memory, pods become Ready without running, and no Harbor answers at the registry's URL."
    else
        echo "Databases and object store are private servers on this machine's loopback; the cluster is that of $kube."
    fi
}

closing_kubectl() {
    if [[ -n ${KUBECTL-} ]]; then
        echo "export KUBECONFIG=$KUBECONFIG_ADMIN PATH=${KUBECTL%/*}:\$PATH; kubectl get flotilla -A"
    else
        echo "none here that is newer than Debian's; it would be: export KUBECONFIG=$KUBECONFIG_ADMIN"
    fi
}

closing_ways_on() {
    local curl
    echo "  server/dev/up --scale 20   # more registries to look at"
    if [[ $kube == dev ]]; then
        curl="curl -sS -K $(product_embedded devcluster_curl_file)"
        echo "  $curl $KUBE_API_URL/apis/registry.flotilla.dev/v1alpha1/registries | jq   # the cluster without kubectl"
        echo "  server/dev/down --purge && server/dev/up --kube real --node   # the real thing, whose pods run: as root"
    fi
    echo "  server/dev/down [--purge]   # stop; with --purge forget everything"
}

closing_text() {
    local get
    get="curl -sS -H @$(product_dir)/headers $product_url"
    cat <<TEXT

$(closing_objects)

Flotilla runs (ready after $1). Ready registries of the tenant $product_tenant_name: $(product_ready).
$(closing_what_is_real)
  API      $product_url
  key      $(product_fact api-key)   (kept in $(product_dir)/api-key)
  kubectl  $(closing_kubectl)

Try next, the kubectl lines after the export above:
  $get$(product_registries) | jq
  $get/v1/status | jq
  kubectl describe registries -A   # events and conditions of the registry
  kubectl apply -f $repo_dir/crds/examples/registry.yaml   # one more, by the operator's path
  tail -f $state/log/flotillad.log   # what the three roles do
$(closing_ways_on)
TEXT
}
