# shellcheck shell=bash
# A private Kubernetes control plane from the real programs: etcd, kube-apiserver, kube-controller-manager,
# kube-scheduler; kwok plays two nodes on which pods become Ready without running. Needs $state, $fast, $node.

kubectl_admin() {
    KUBECACHEDIR=$state/kube-cache KUBECONFIG=$(admin_kubeconfig) "$(kubectl_program)" "$@"
}

# $kube is `real` (ours, below), `dev` (devcluster.sh) or the kubeconfig of a cluster that is somebody's.
admin_kubeconfig() {
    case $kube in
    real) echo "$state/admin.kubeconfig" ;;
    dev) devcluster_kubeconfig ;;
    *) echo "$kube" ;;
    esac
}

kubectl_program() {
    if [[ $kube == real ]]; then
        echo "$(tools)/kubectl"
    else
        kubectl_found || die "no kubectl here that is newer than Debian's: --kubeconfig needs one on PATH"
    fi
}

# What none of our own control planes needs is not built.
tools() {
    local wanted=()
    if [[ $node == yes ]]; then wanted=(--node); elif [[ $kube != real ]]; then wanted=(versitygw); fi
    [[ -n ${tools_dir-} ]] || tools_dir=$(tools_bin "${wanted[@]}")
    echo "$tools_dir"
}

launch_etcd() {
    local client peer options=()
    client=https://127.0.0.1:$(port_of etcd)
    peer=https://127.0.0.1:$(port_of etcd-peer) # one member: nobody ever connects to it, and nobody shall
    [[ $fast == no ]] || options+=(--unsafe-no-fsync)
    proc_start etcd "$(tools)/etcd" --name dev --data-dir "$state/etcd" --log-level warn \
        --listen-client-urls "$client" --advertise-client-urls "$client" \
        --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "dev=$peer" \
        --client-cert-auth --trusted-ca-file "$(pki etcd-ca.crt)" \
        --cert-file "$(pki etcd.crt)" --key-file "$(pki etcd.key)" \
        --peer-client-cert-auth --peer-trusted-ca-file "$(pki etcd-ca.crt)" \
        --peer-cert-file "$(pki etcd.crt)" --peer-key-file "$(pki etcd.key)" "${options[@]}"
}

wait_etcd() {
    proc_wait_ready etcd 30 curl -fsS --max-time 1 --cacert "$(pki etcd-ca.crt)" --cert "$(pki etcd-client.crt)" \
        --key "$(pki etcd-client.key)" "https://127.0.0.1:$(port_of etcd)/readyz"
}

# Every request leaves one line with user, verb, object and code: what the proofs count writes with.
write_audit_policy() {
    cat >"$state/audit-policy.yaml" <<'YAML'
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
YAML
}

# Who may reach the API server, and what it may know of nodes.
kube_reach() {
    if [[ $node == yes ]]; then # pods find it at the Service `kubernetes`; a kubelet may only touch its own pods
        printf '%s\n' --bind-address 0.0.0.0 --advertise-address "$node_address" \
            --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction \
            --kubelet-preferred-address-types InternalIP \
            --kubelet-client-certificate "$(pki kubelet-client.crt)" --kubelet-client-key "$(pki kubelet-client.key)"
    else # no endpoint reconciler: the Service may not point at a loopback address
        printf '%s\n' --bind-address 127.0.0.1 --advertise-address 127.0.0.1 --endpoint-reconciler-type none \
            --authorization-mode RBAC
    fi
}

launch_kube-apiserver() {
    local reach
    write_audit_policy
    mapfile -t reach < <(kube_reach)
    proc_start kube-apiserver "$(tools)/kube-apiserver" "${reach[@]}" \
        --secure-port "$(port_of kube-apiserver)" --service-cluster-ip-range 10.96.0.0/16 \
        --etcd-servers "https://127.0.0.1:$(port_of etcd)" --etcd-cafile "$(pki etcd-ca.crt)" \
        --etcd-certfile "$(pki etcd-client.crt)" --etcd-keyfile "$(pki etcd-client.key)" \
        --tls-cert-file "$(pki kube-apiserver.crt)" --tls-private-key-file "$(pki kube-apiserver.key)" \
        --client-ca-file "$(pki ca.crt)" --allow-privileged \
        --requestheader-client-ca-file "$(pki front-proxy-ca.crt)" --requestheader-allowed-names front-proxy \
        --requestheader-username-headers X-Remote-User --requestheader-group-headers X-Remote-Group \
        --requestheader-extra-headers-prefix X-Remote-Extra- \
        --proxy-client-cert-file "$(pki front-proxy.crt)" --proxy-client-key-file "$(pki front-proxy.key)" \
        --service-account-issuer https://kubernetes.default.svc \
        --service-account-key-file "$(pki service-account.pub)" \
        --service-account-signing-key-file "$(pki service-account.key)" \
        --audit-policy-file "$state/audit-policy.yaml" --audit-log-path "$state/log/audit.log" \
        --audit-log-maxsize 500 --audit-log-maxbackup 2 --profiling=false
}

wait_kube-apiserver() {
    proc_wait_ready kube-apiserver 60 curl -fsS --max-time 2 --cacert "$(pki ca.crt)" --cert "$(pki admin.crt)" \
        --key "$(pki admin.key)" "https://127.0.0.1:$(port_of kube-apiserver)/readyz"
}

# Node lifecycle stays on: it is what takes the not-ready taint off the nodes.
launch_kube-controller-manager() {
    proc_start kube-controller-manager "$(tools)/kube-controller-manager" \
        --kubeconfig "$state/controller-manager.kubeconfig" --leader-elect=false --profiling=false \
        --use-service-account-credentials \
        --bind-address 127.0.0.1 --secure-port "$(port_of kube-controller-manager)" \
        --root-ca-file "$(pki ca.crt)" --service-account-private-key-file "$(pki service-account.key)" \
        --kube-api-qps 500 --kube-api-burst 1000 --flex-volume-plugin-dir "$state/run/volume-plugins"
}

launch_kube-scheduler() {
    write_scheduler_config
    proc_start kube-scheduler "$(tools)/kube-scheduler" --config "$state/scheduler.yaml" --profiling=false \
        --bind-address 127.0.0.1 --secure-port "$(port_of kube-scheduler)"
}

# The client's rate can only be given in the file.
write_scheduler_config() {
    cat >"$state/scheduler.yaml" <<YAML
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection: {leaderElect: false}
clientConnection: {kubeconfig: $state/scheduler.kubeconfig, qps: 500, burst: 1000}
YAML
}

# Both answer /healthz without credentials.
wait_healthz() {
    proc_wait_ready "$1" 30 curl -fsSk --max-time 1 "https://127.0.0.1:$(port_of "$1")/healthz"
}
wait_kube-controller-manager() { wait_healthz kube-controller-manager; }
wait_kube-scheduler() { wait_healthz kube-scheduler; }

launch_kwok() {
    local stages config=()
    stages=$(dirname "$(tools)")/stages
    for file in "$stages"/node/fast/node-*.yaml "$stages"/pod/fast/pod-*.yaml; do
        config+=(--config "$file")
    done
    proc_start kwok "$(tools)/kwok" --kubeconfig "$state/kwok.kubeconfig" "${config[@]}" \
        --manage-nodes-with-annotation-selector kwok.x-k8s.io/node=fake --node-lease-duration-seconds 40 \
        --cidr 10.244.0.0/16 --node-ip 127.0.0.1 --server-address "127.0.0.1:$(port_of kwok)"
}

wait_kwok() { proc_wait_ready kwok 30 curl -fsS --max-time 1 "http://127.0.0.1:$(port_of kwok)/healthz"; }

kwok_nodes() {
    local i
    for i in 1 2; do
        cat <<YAML
apiVersion: v1
kind: Node
metadata:
  name: node-$i
  annotations: {kwok.x-k8s.io/node: fake}
  labels: {kubernetes.io/hostname: node-$i, kubernetes.io/os: linux, type: kwok}
---
YAML
    done
}

# Pods can be scheduled: the controller manager has taken the taint off and made the default account.
nodes_usable() {
    [[ -z $(kubectl_admin get nodes -o 'jsonpath={.items[*].spec.taints}') ]] &&
        kubectl_admin get serviceaccount default >/dev/null
}

# kube_binding USER CLUSTERROLE
kube_binding() {
    cat <<YAML
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: $1}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: $2}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: $1}]
---
YAML
}

# What a cell cluster holds before the product comes: namespace, roles, policies, custom resource definitions.
kube_apply() {
    local files=() file more=()
    if [[ $node == yes ]]; then
        more=("$dev_dir"/node/manifests/*.yaml "$(dirname "$(tools)")"/crds/*.yaml)
    fi
    for file in "$repo_dir"/helm/flotilla/{rbac,admission}/*.yaml "$repo_dir"/crds/*.yaml "${more[@]}"; do
        [[ ! -s $file ]] || files+=(-f "$file")
    done
    {
        printf 'apiVersion: v1\nkind: Namespace\nmetadata: {name: flotilla-system}\n---\n'
        kube_binding flotilla-operate flotilla-operate
        kube_binding flotilla-fleet flotilla-fleet
        [[ $1 == no-nodes ]] || kwok_nodes
    } | kubectl_admin apply --server-side --force-conflicts --field-manager flotilla-dev -f - "${files[@]}" \
        >"$state/log/apply.log" 2>&1 || {
        cat "$state/log/apply.log" >&2
        die "the cluster refused a manifest of crds/ or helm/flotilla/"
    }
    if compgen -G "$repo_dir/crds/*.yaml" >/dev/null; then
        kubectl_admin wait --for=condition=Established --timeout=30s crd --all >>"$state/log/apply.log"
    fi
}

kube_kubeconfigs() {
    local name
    for name in admin operator fleet controller-manager scheduler kwok; do
        kubeconfig_make "$name"
    done
    [[ $node == no ]] || node_kubeconfigs
}
