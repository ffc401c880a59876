# shellcheck shell=bash
# The servers of a real node: containerd, kubelet, kube-proxy, CoreDNS. All of it runs inside the node's namespaces.
# Their addresses are the same in every stack, since nobody outside sees them. Needs $state, kube.sh, namespace.sh.

node_name=node-1
node_address=172.31.77.1 # of the node in its pods' eyes; manifests/dns.yaml repeats it
node_pods=10.78.0.0/24
node_dns=10.96.0.10 # the Service in manifests/dns.yaml
node_socket=/run/containerd/containerd.sock
node_servers=(containerd kubelet kube-proxy coredns)

# --- for whom the other servers listen ------------------------------------------------------------------------

# Addresses of the pools' servers, and the one at which operators and pods alike find them.
server_addresses() {
    echo 127.0.0.1
    [[ $node == no ]] || echo "$node_address"
}
server_host() { server_addresses | tail -n 1; }

client_networks() {
    server_addresses | sed 's|$|/32|'
    [[ $node == no ]] || echo "$node_pods"
}

# --- the place ---------------------------------------------------------------------------------------------

# kubelet wants these of the kernel, which is everybody's: it is shown files that say so.
node_sysctls=(vm/overcommit_memory=1 kernel/panic=10 kernel/panic_on_oops=1
    kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000)

# Some programs write below these folders without being asked where, and nothing of it may reach the disk. PostgreSQL's
# data may lie below one of them.
node_prepare_mounts() {
    local row file home
    home=$(pg_home)
    mkdir -p "$home"
    mount -t tmpfs -o mode=755 tmpfs /run
    mkdir /run/pg-home
    mount --bind "$home" /run/pg-home
    mount -t tmpfs -o mode=755 tmpfs /var/log
    mount -t tmpfs -o mode=755 tmpfs /var/lib
    mkdir -p "$home"
    mount --move /run/pg-home "$home"
    for row in "${node_sysctls[@]}"; do
        file=/run/sysctl/${row%=*}
        mkdir -p "${file%/*}"
        echo "${row#*=}" >"$file"
        mount --bind "$file" "/proc/sys/${row%=*}"
    done
    echo "nameserver $node_dns" >"$(node_dir)/resolv.conf"
    mount --bind "$(node_dir)/resolv.conf" /etc/resolv.conf
}

# The default route leads nowhere; without one the API server and the kubelet find no address of their own.
node_prepare_network() {
    hostname "$node_name"
    ip link set lo up
    ip link add node0 type bridge
    ip address add "$node_address/24" dev node0
    ip link set node0 up
    ip route add default dev node0
    echo 1 >/proc/sys/net/ipv4/ip_forward
    echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables # what a bridge passes on meets kube-proxy's rules, too
}

# Once per set of namespaces: they are gone with the node.
node_prepare() {
    [[ ! -e /run/flotilla-node ]] || return 0
    node_prepare_mounts
    node_prepare_network
    node_write_cni
    touch /run/flotilla-node
}

# --- containerd --------------------------------------------------------------------------------------------

# Root on disk, as images are large; the rest goes with the namespaces. This root may lack CAP_SYS_RESOURCE, without
# which nobody lowers an oom_score_adj.
node_write_containerd() {
    write_changed "$(node_dir)/containerd.toml" <<TOML
version = 2
root = "$(node_dir)/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
    "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
[grpc]
address = "$node_socket"
[plugins."io.containerd.internal.v1.opt"]
path = "/run/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "flotilla.dev/pause:1"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/run/cni/bin"
conf_dir = "/run/cni/conf"
TOML
}

launch_containerd() {
    node_write_containerd
    proc_start containerd containerd --config "$(node_dir)/containerd.toml"
}

node_ctr() { ctr --address "$node_socket" --namespace k8s.io "$@"; }

wait_containerd() { proc_wait_ready containerd 30 node_runtime_answers; }

# node_import TAR…: nothing is ever pulled.
node_import() {
    local tar
    for tar in "$@"; do
        node_ctr images import --no-unpack "$tar" >>"$state/log/images.log" 2>&1 ||
            die "$tar was refused, see $state/log/images.log"
    done
}

# --- network of pods: multus first, which asks the API for further interfaces of a pod and runs the bridge ---------

node_write_cni() {
    mkdir -p /run/cni/{bin,conf,leases}
    ln -s /usr/lib/cni/* "$(tools)/multus" /run/cni/bin/
    cat >/run/cni/conf/00-multus.conf <<JSON
{"cniVersion": "0.4.0", "name": "multus", "type": "multus", "kubeconfig": "$state/multus.kubeconfig",
 "binDir": "/run/cni/bin", "cniDir": "/run/cni/multus", "logLevel": "error", "logFile": "/var/log/multus.log",
 "delegates": [{"cniVersion": "0.4.0", "name": "pods", "plugins": [
   {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true, "ipam": {
     "type": "host-local", "ranges": [[{"subnet": "$node_pods"}]], "routes": [{"dst": "0.0.0.0/0"}],
     "dataDir": "/run/cni/leases"}}]}]}
JSON
}

# --- kubelet -----------------------------------------------------------------------------------------------

# syncFrequency: a changed ConfigMap is in its pods after two seconds, with the default only after a minute or more.
node_write_kubelet() {
    write_changed "$(node_dir)/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $node_address
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $(pki ca.crt)}}
authorization: {mode: Webhook}
containerRuntimeEndpoint: unix://$node_socket
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /$(node_cgroup)
protectKernelDefaults: true
makeIPTablesUtilChains: false
failSwapOn: false
syncFrequency: 2s
evictionHard: {memory.available: 0%, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%}
imageGCHighThresholdPercent: 100
clusterDNS: [$node_dns]
clusterDomain: cluster.local
resolvConf: ""
volumePluginDir: /run/kubelet/volume-plugins
YAML
}

launch_kubelet() {
    node_write_kubelet
    # Its folder is short: the paths of its sockets may have 107 bytes.
    proc_start kubelet "$(tools)/kubelet" --config "$(node_dir)/kubelet.yaml" --kubeconfig "$state/kubelet.kubeconfig" \
        --root-dir /run/kubelet --cert-dir /run/kubelet/pki --hostname-override "$node_name" --node-ip "$node_address"
}

node_is_ready() {
    [[ $(kubectl_admin get node "$node_name" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}') == True ]]
}

wait_kubelet() { proc_wait_ready kubelet 60 node_is_ready; }

# --- kube-proxy --------------------------------------------------------------------------------------------

# The limits of connection tracking are the machine's and stay as they are.
launch_kube-proxy() {
    write_changed "$(node_dir)/kube-proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clientConnection: {kubeconfig: $state/kube-proxy.kubeconfig}
hostnameOverride: $node_name
clusterCIDR: $node_pods
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
oomScoreAdj: 0
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
nftables: {minSyncPeriod: 100ms}
YAML
    proc_start kube-proxy "$(tools)/kube-proxy" --config "$(node_dir)/kube-proxy.yaml"
}

wait_kube-proxy() { proc_wait_ready kube-proxy 30 curl -fsS --max-time 1 http://127.0.0.1:10256/healthz; }

# --- CoreDNS -----------------------------------------------------------------------------------------------

# A process of the node and no pod: it has to be there before images are.
launch_coredns() {
    write_changed "$(node_dir)/Corefile" <<TEXT
. {
    bind $node_address
    errors
    ready 127.0.0.1:8181
    kubernetes cluster.local in-addr.arpa {
        kubeconfig $state/coredns.kubeconfig
        pods insecure
        ttl 5
    }
}
TEXT
    proc_start coredns "$(tools)/coredns" -conf "$(node_dir)/Corefile"
}

wait_coredns() { proc_wait_ready coredns 30 curl -fsS --max-time 1 http://127.0.0.1:8181/ready; }

# --- together ----------------------------------------------------------------------------------------------

node_kubeconfigs() {
    local name
    cert_issue ca kubelet "/O=system:nodes/CN=system:node:$node_name"
    cert_issue ca kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
    cert_issue ca kube-proxy /CN=system:kube-proxy
    cert_issue ca coredns /CN=flotilla-dev-coredns
    cert_issue ca multus /CN=flotilla-dev-multus
    for name in kubelet kube-proxy coredns multus; do
        kubeconfig_make "$name"
    done
}

node_image_pause() { echo "$(node_dir)/pause.tar"; }

# Containers can be started: containerd answers and knows what a sandbox is made of.
node_runtime_up() {
    launch_containerd
    wait_containerd
    node_import "$(node_image_pause)"
}

node_runtime_answers() { node_ctr version >/dev/null 2>&1; }

node_servers_up() {
    retry_for 30 node_runtime_answers || die "containerd does not answer"
    launch_kubelet
    launch_kube-proxy
    launch_coredns
    wait_kubelet
    wait_kube-proxy
    wait_coredns
    retry_for 30 nodes_usable 2>/dev/null || die "the node stays tainted"
}
