# shellcheck shell=bash
# The progress of `up`: one line per step with its time. A step's own output goes to a log file, whose end is
# shown when the step fails. Needs $dev_home, $step_count.

step_number=0
steps_started=$(now_ms)

seconds_since() {
    local ms=$(($(now_ms) - $1))
    printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
}

# step "WHAT" COMMAND…: every command must be idempotent, so that a second `up` continues where one stopped.
step() {
    local what=$1 started log status=0
    shift
    step_number=$((step_number + 1))
    log=$dev_home/log/step-$1.log
    started=$(now_ms)
    printf '[%2d/%d] %-46s ' "$step_number" "$step_count" "$what"
    # A subshell with -e of its own: inside `if` or `||` bash would ignore it.
    set +e
    (
        set -e
        "$@"
    ) >"$log" 2>&1
    status=$?
    set -e
    if ((status != 0)); then
        printf ' failed after %s\n' "$(seconds_since "$started")"
        tail -n 15 "$log" | sed 's/^/    /'
        say "the whole log: $log; after mending it, the same command continues here"
        exit "$status"
    fi
    printf ' %s\n' "$(seconds_since "$started")"
}
