# shellcheck shell=bash
# The embedded Kubernetes API (server/dev/devcluster) as a server of a stack: one cluster in memory, on a port of its
# own. Whoever reaches that port is its administrator, and what it holds ends with the process. There may be no kubectl:
# manifests go to it by curl. Needs $state.

devcluster_kubeconfig() { echo "$state/devcluster/cluster-1.kubeconfig"; }
devcluster_url() { echo "http://127.0.0.1:$(port_of devcluster)"; }

launch_devcluster() {
    mkdir -p -m 700 "$state/devcluster"
    proc_start devcluster "$repo_dir/build/release/flotilla-dev" "$state/devcluster" --port "$(port_of devcluster)"
}

wait_devcluster() { proc_wait_ready devcluster 30 curl -fsS --max-time 1 "$(devcluster_url)/readyz"; }

# It served once and does not now: its objects are gone.
devcluster_has_ended() { [[ -f $(devcluster_kubeconfig) ]] && ! proc_alive devcluster; }

# devcluster_put URL: the manifest of standard input becomes that object. What it answers may hold a Secret's bytes.
devcluster_put() {
    local answer
    answer=$(curl -sS --fail-with-body --max-time 10 -X PATCH -H 'Content-Type: application/apply-patch+yaml' \
        --data-binary @- "$1?fieldManager=flotilla-dev&force=true") || die "$1: $answer"
}

devcluster_apply() {
    local file name url
    url=$(devcluster_url)
    devcluster_put "$url/api/v1/namespaces/flotilla-system" <<'YAML'
apiVersion: v1
kind: Namespace
metadata: {name: flotilla-system}
YAML
    for file in "$repo_dir"/crds/*.yaml; do
        name=$(sed -n 's/^  name: //p' "$file" | head -n 1)
        devcluster_put "$url/apis/apiextensions.k8s.io/v1/customresourcedefinitions/$name" <"$file"
    done
}
