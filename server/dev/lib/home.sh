# shellcheck shell=bash
# The directory of `up` and `down`. What bears the mark was made by `up` and is removed by `down --purge`; a directory
# with other things in it is never adopted.

dev_home=${FLOTILLA_HOME:-$HOME/.local/state/flotilla}/dev
home_mark=$dev_home/flotilla-dev

home_is_empty() { [[ -z $(ls -A "$dev_home" 2>/dev/null) ]]; }

home_check() {
    home_is_empty || [[ -f $home_mark ]] ||
        die "$dev_home has no mark of server/dev/up and is left alone: set FLOTILLA_HOME; was it made by an older up: touch '$home_mark'"
}

home_make() {
    mkdir -p "$dev_home"
    echo 1 >"$home_mark" # before anything else: who is interrupted here finds it empty or marked
    chmod 700 "$dev_home"
    mkdir -p "$dev_home/log"
}

# The mark goes last: what was interrupted can be repeated.
home_remove() {
    find "$dev_home" -mindepth 1 -maxdepth 1 ! -path "$home_mark" -exec rm -rf {} +
    rm -rf "$dev_home"
}
