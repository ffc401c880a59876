# shellcheck shell=bash
# The namespaces of a stack with a real node, seen from outside: making them, walking in, taking them away. All that
# runs inside is a descendant of one process; its end ends everything, and mounts, bridges and addresses go with the
# namespaces. Only the cgroups are the machine's own. Needs $state.

node_cgroup() { echo "flotilla-$(printf '%s' "$state" | sha256sum | cut -c1-12)"; }

# One folder of $state for what the node keeps on disk.
node_dir() { echo "$state/node"; }

# node_program NAME: our own small programs, from whichever build is there (the release first: it is the quicker one).
node_program() {
    local preset file
    for preset in release dev; do
        file=$repo_dir/build/$preset/server/dev/node/$1
        if [[ -x $file ]]; then
            echo "$file"
            return
        fi
    done
    die "NeedsBuild: $1 is missing: cmake --preset dev && cmake --build --preset dev --target $1"
}

# --- what it takes ----------------------------------------------------------------------------------------

# Each refusal begins with its name. Nothing has been changed when one is met.
node_requirements() {
    local missing=() name
    ((EUID == 0)) || die "NeedsRoot: a real node makes namespaces, mounts and cgroups; run as root, or without a node"
    unshare --mount --net --pid --uts --ipc --fork true 2>/dev/null ||
        die "NeedsNamespaces: this root may not make namespaces (CAP_SYS_ADMIN)"
    [[ -d /sys/fs/cgroup/memory ]] ||
        die "NeedsCgroupV1: only cgroup v1 was tried; boot with systemd.unified_cgroup_hierarchy=0"
    for name in $(node_hierarchies); do
        [[ -w $name ]] || die "NeedsCgroups: $name cannot be written"
    done
    for name in containerd ctr runc nft iptables ip jq; do
        command -v "$name" >/dev/null || missing+=("$name")
    done
    [[ -x /usr/lib/cni/bridge ]] || missing+=("/usr/lib/cni/bridge")
    ((${#missing[@]} == 0)) ||
        die "NeedsPackages: ${missing[*]}: install containerd runc containernetworking-plugins nftables iptables iproute2 jq"
    for name in /run /var/log /var/lib; do # hidden inside by file systems of the node's own
        [[ $state/ != "$name"/* ]] || die "NeedsOtherFolder: a stack with a node cannot live under $name"
    done
}

# --- cgroups ----------------------------------------------------------------------------------------------

# Those of v1, and the v2 one that may stand beside them without controllers: runc makes groups in it, too.
node_hierarchies() { awk '$3 ~ /^cgroup2?$/ { print $2 }' /proc/self/mounts; }

node_cgroups_make() {
    local root group file
    for root in $(node_hierarchies); do
        group=$root/$(node_cgroup)
        mkdir -p "$group"
        for file in cpuset.cpus cpuset.mems; do # a new set has none, and nothing could run in it
            [[ ! -e $group/$file ]] || cat "$root/$file" >"$group/$file"
        done
    done
}

node_cgroups_remove_once() {
    local root group left=0
    for root in $(node_hierarchies); do
        group=$root/$(node_cgroup)
        [[ ! -d $group ]] || find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
        [[ ! -d $group ]] || left=1
    done
    return "$left"
}

# A killed process leaves its cgroup a moment after its end.
node_cgroups_remove() { retry_for 10 node_cgroups_remove_once || die "cgroups of the node stay: $(node_cgroup)"; }

# --- in and out -------------------------------------------------------------------------------------------

node_alive() { proc_alive node; }

# node_enter COMMAND…: inside all of the node's namespaces.
node_enter() {
    local ns
    ns=/proc/$(proc_pid node)/ns || die "the node does not run"
    nsenter --mount="$ns/mnt" --net="$ns/net" --uts="$ns/uts" --ipc="$ns/ipc" --pid="$ns/pid_for_children" -- "$@"
}

# Becomes COMMAND in the node's network, with the cluster's names, but among the processes and files out here: so that
# whoever started it can signal it and read what it writes.
node_run() {
    local pid
    pid=$(proc_pid node) || die "the node does not run"
    # shellcheck disable=SC2016 # expanded inside
    exec nsenter --net="/proc/$pid/ns/net" unshare --mount --propagation private \
        bash -c 'mount --bind "$0" /etc/resolv.conf && exec "$@"' "$(node_dir)/resolv.conf" "$@"
}

node_first_process_waits() { [[ $(node_enter cat /proc/1/comm 2>/dev/null) == node-pause ]]; }

node_up() {
    node_alive || node_cgroups_make
    mkdir -p "$(node_dir)"
    # With --kill-child the end of the recorded process is the end of the first one inside, and so of all.
    proc_start node unshare --mount --net --pid --uts --ipc --fork --kill-child --propagation private --mount-proc \
        "$(node_program node-pause)"
    retry_for 5 node_first_process_waits || die "the node's namespaces were not made, see $state/log/node.log"
}

# node_relay NAME…: the servers' ports, reachable on the loopback out here.
node_relay() {
    local ports=() name
    for name in "$@"; do
        proc_alive relay || port_check "$name"
        ports+=("$(port_of "$name")")
    done
    proc_start relay "$(node_program node-relay)" "$(proc_pid node)" "${ports[@]}"
    proc_wait_ready relay 5 node_relay_serves
}

# It walks in when all ports out here are its own.
node_relay_serves() {
    [[ $(readlink "/proc/$(proc_pid relay)/ns/net") == "$(readlink "/proc/$(proc_pid node)/ns/net")" ]]
}

node_down() {
    proc_stop relay
    proc_stop node KILL
    node_cgroups_remove
}
