# shellcheck shell=bash
# Processes of one stack: started in a session of their own, remembered by pid, start time and boot, so that a
# number that the kernel has given to somebody else's process is never signalled. Needs $state, ports.sh.

pid_file() { echo "$state/run/$1.pid"; }

# Start time in clock ticks: field 22 of /proc/PID/stat, counted after the command name, which may hold spaces.
start_time_of() {
    local stat
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
    stat=${stat##*) }
    # shellcheck disable=SC2086 # the fields are wanted as words
    set -- $stat
    [[ $1 != Z ]] || return 1 # a zombie serves nobody
    echo "${20}"
}

# Prints the pid of NAME if that very process still lives.
proc_pid() {
    local pid started boot
    { read -r pid started boot <"$(pid_file "$1")"; } 2>/dev/null || return 1
    [[ $boot == "$(</proc/sys/kernel/random/boot_id)" ]] || return 1
    [[ $(start_time_of "$pid") == "$started" ]] || return 1
    echo "$pid"
}

proc_alive() { proc_pid "$1" >/dev/null; }

# proc_start NAME COMMAND…: does nothing when NAME runs already. The child writes its own pid file before it
# becomes the command: an interruption of this script between two lines cannot lose it.
proc_start() {
    local name=$1
    shift
    ! proc_alive "$name" || return 0
    port_check "$name"
    mkdir -p "$state/run" "$state/log"
    rm -f "$(pid_file "$name")"
    # shellcheck disable=SC2016 # expanded by the child
    # Signals back to their defaults: what bash starts in the background ignores SIGINT, and children inherit that.
    PID_FILE=$(pid_file "$name") setsid --fork env --default-signal=INT,QUIT bash -c '
        stat=$(</proc/$$/stat)
        set_fields() { started=${20}; }
        set_fields ${stat##*) }
        echo "$$ $started $(</proc/sys/kernel/random/boot_id)" >"$PID_FILE.new" && mv "$PID_FILE.new" "$PID_FILE"
        unset PID_FILE
        exec "$@"' "$name" "$@" </dev/null >>"$state/log/$name.log" 2>&1 9>&-
    retry_for 5 test -s "$(pid_file "$name")" || die "$name: could not be started, see $state/log/$name.log"
}

# proc_signal NAME SIGNAL: only ever to the recorded process.
proc_signal() {
    local pid
    pid=$(proc_pid "$1") || return 0
    kill -s "$2" "$pid" 2>/dev/null || true
}

proc_gone() { ! proc_alive "$1"; }

# proc_stop NAME [SIGNAL [SECONDS]]: asks, waits, insists.
proc_stop() {
    local name=$1 signal=${2:-TERM} seconds=${3:-10}
    if proc_alive "$name"; then
        proc_signal "$name" CONT # a paused process hears nothing
        proc_signal "$name" "$signal"
        if ! retry_for "$seconds" proc_gone "$name"; then
            proc_signal "$name" KILL
            retry_for 5 proc_gone "$name" || die "$name does not end"
        fi
    fi
    rm -f "$(pid_file "$name")"
}

# It lives, and the one who listens on its port is no stranger: only then may a password go there.
proc_listens() {
    local pid
    pid=$(proc_pid "$1") && port_is_held "$1" "$pid"
}

# Waits until it listens and a check succeeds; a process that has died meanwhile ends the wait with its last words.
proc_wait_ready() {
    local name=$1 seconds=$2 deadline
    shift 2
    deadline=$(($(now_ms) + seconds * 1000))
    until proc_listens "$name" && "$@" >/dev/null 2>&1; do
        if proc_gone "$name" || (($(now_ms) > deadline)); then
            tail -n 5 "$state/log/$name.log" >&2 || true
            die "$name is not ready, see $state/log/$name.log"
        fi
        sleep 0.05
    done
}
