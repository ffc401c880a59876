# shellcheck shell=bash
# The embedded Kubernetes API (server/dev/devcluster) as a server of a stack: one cluster in memory, on a port of its
# own. Whoever reads its kubeconfig is its administrator, and what it holds ends with the process. There may be no kubectl:
# manifests go to it by curl. Needs $state.

devcluster_kubeconfig() { echo "$state/devcluster/cluster-1.kubeconfig"; }
devcluster_curl_file() { echo "$state/devcluster/curl"; }
devcluster_url() { echo "https://127.0.0.1:$(port_of devcluster)"; }

launch_devcluster() {
    mkdir -p -m 700 "$state/devcluster"
    proc_start devcluster "$repo_dir/build/release/flotilla-dev" "$state/devcluster" --port "$(port_of devcluster)"
}

# The kubeconfig's token and authority as curl takes them: a command line can be read by every user of the machine.
devcluster_credentials() {
    local authority=$state/devcluster/ca.crt
    sed -n 's/.*certificate-authority-data: "\([^"]*\)".*/\1/p' "$(devcluster_kubeconfig)" | base64 -d | write_private "$authority"
    {
        echo "cacert = \"$authority\""
        sed -n 's/.*token: "\([^"]*\)".*/header = "Authorization: Bearer \1"/p' "$(devcluster_kubeconfig)"
    } | write_private "$(devcluster_curl_file)"
}

devcluster_curl() { curl -sS --max-time 10 -K "$(devcluster_curl_file)" "$@"; }

# Each start has another token: until its kubeconfig is there, it does not take the one before.
devcluster_serves() { devcluster_credentials && devcluster_curl -f "$(devcluster_url)/readyz"; }
wait_devcluster() { proc_wait_ready devcluster 30 devcluster_serves; }

# It served once and does not now: its objects are gone.
devcluster_has_ended() { [[ -f $(devcluster_kubeconfig) ]] && ! proc_alive devcluster; }

# devcluster_put URL: the manifest of standard input becomes that object. What it answers may hold a Secret's bytes.
devcluster_put() {
    local answer
    answer=$(devcluster_curl --fail-with-body -X PATCH -H 'Content-Type: application/apply-patch+yaml' \
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
