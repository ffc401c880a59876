# shellcheck shell=bash
# Two private PostgreSQL servers: `pg-fleet` (the fleet layer's own) and `pg-pool` (the shared one in which
# registries get their databases). They are two because a registry's database never lives beside the fleet's.
# TCP on 127.0.0.1 only: socket paths are limited to 107 bytes, which test directories exceed. Needs $state, $fast, $node.

pg_bin() {
    local dir
    for dir in /usr/lib/postgresql/{17,16,15}/bin "$(dirname "$(command -v postgres || echo /nonexistent/x)")"; do
        if [[ -x $dir/initdb ]]; then
            echo "$dir"
            return
        fi
    done
    die "PostgreSQL's server programs are missing: install the package postgresql"
}

# PostgreSQL refuses to run as root; then the account of Debian's package runs it.
pg_as() {
    if ((EUID == 0)); then
        setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"
    else
        "$@"
    fi
}

# Where the data lives: in the state directory, or, when that stands below a home directory that the account
# `postgres` may not enter, in /var/lib under a name derived from it.
pg_home() {
    local file=$state/pg-home home=$state/pg
    if [[ ! -s $file ]]; then
        if ! pg_as test -x "$state" 2>/dev/null; then
            home=/var/lib/flotilla-dev/$(printf '%s' "$state" | sha256sum | cut -c1-16)
        fi
        echo "$home" >"$file"
    fi
    cat "$file"
}

pg_data() { echo "$(pg_home)/$1"; }
pg_secret() { echo "$state/secrets/$1"; }

# pg_password SERVER ROLE: random, made once. The passfile is what libpq reads, so that no password stands in a
# URI, in the environment or in a command line.
pg_password() {
    secret_once "$(pg_secret "$1.$2.password")" 24
}

pg_passfile() {
    local file password
    file=$(pg_secret "$1.$2.pgpass")
    if [[ ! -s $file ]]; then
        password=$(pg_password "$1" "$2")
        echo "127.0.0.1:$(port_of "$1"):*:$2:$password" | write_private "$file"
    fi
    echo "$file"
}

# pg_uri SERVER ROLE DATABASE
pg_uri() {
    echo "postgresql://$2@127.0.0.1:$(port_of "$1")/$3?passfile=$(pg_passfile "$1" "$2")"
}

pg_initdb() {
    local name=$1 data stage bin
    data=$(pg_data "$name")
    [[ ! -s $data/PG_VERSION ]] || return 0
    bin=$(pg_bin)
    stage=$data.init
    rm -rf "$stage" "$data"
    mkdir -p "$(dirname "$data")"
    chmod 755 "$(dirname "$data")"
    mkdir -m 700 "$stage"
    pg_password "$name" postgres | write_private "$stage.password"
    if ((EUID == 0)); then
        chown postgres: "$stage" "$stage.password"
    fi
    pg_as "$bin/initdb" -D "$stage" -U postgres -A scram-sha-256 --pwfile="$stage.password" -E UTF8 \
        --locale=C.UTF-8 --no-sync >"$state/log/$name.initdb.log" 2>&1 ||
        die "$name: initdb failed, see $state/log/$name.initdb.log"
    rm -f "$stage.password"
    pg_write_config "$name" "$stage"
    mv "$stage" "$data"
}

pg_write_config() {
    local name=$1 data=$2
    {
        echo "listen_addresses = '$(server_addresses | paste -sd ,)'"
        echo "unix_socket_directories = ''"
        echo "max_connections = 300"
        echo "password_encryption = 'scram-sha-256'"
        echo "log_line_prefix = '%m [%p] %e %u@%d %a '" # %e: libpq hides the SQLSTATE of a refused connect
        echo "log_connections = on"
        echo "log_timezone = 'UTC'"
        echo "timezone = 'UTC'"
        echo "track_counts = on"
        if [[ $fast == yes ]]; then # tests only: a crash of the machine may lose the data, a kill -9 does not
            printf '%s\n' "fsync = off" "synchronous_commit = off" "full_page_writes = off"
        fi
    } >>"$data/postgresql.conf"
    pg_hba_of "$name" >"$data/pg_hba.conf"
}

pg_hba_of() {
    echo "# the superuser: bootstrap and tests; nothing of the product uses it"
    echo "host all postgres 127.0.0.1/32 scram-sha-256"
    if [[ $1 == pg-fleet ]]; then
        echo "host all all 127.0.0.1/32 scram-sha-256"
        return
    fi
    echo "# the pool's admin makes each registry's database; a registry's role reaches the one of its own name only"
    server_addresses | sed 's|.*|host all flotilla_admin &/32 scram-sha-256|'
    client_networks | sed 's|.*|host samerole all & scram-sha-256|'
}

pg_launch() {
    local name=$1 bin prefix=()
    bin=$(pg_bin)
    if ((EUID == 0)); then
        prefix=(setpriv --reuid=postgres --regid=postgres --init-groups --)
    fi
    proc_start "$name" "${prefix[@]}" "$bin/postgres" -D "$(pg_data "$name")" -p "$(port_of "$name")"
}

# After a kill -9 the old server's last children hold its memory for a moment, and a new one refuses to start.
pg_launch_settled() {
    local name=$1 deadline=$(($(now_ms) + 60000))
    while (($(now_ms) < deadline)); do
        pg_launch "$name"
        if proc_listens "$name" && pg_answers "$name"; then
            return
        fi
        sleep 0.05
    done
    tail -n 5 "$state/log/$name.log" >&2
    die "$name does not start, see $state/log/$name.log"
}

pg_answers() { "$(pg_bin)/pg_isready" -q -h 127.0.0.1 -p "$(port_of "$1")"; }

# SQL of stdin, as superuser.
pg_super() {
    { # the statements hold passwords, and a failed one would stand in the server's log
        echo "SET log_min_error_statement = panic;"
        cat
    } | "$(pg_bin)/psql" -X -q -v ON_ERROR_STOP=1 -d "$(pg_uri "$1" postgres "$2")" -f - >/dev/null
}

# CREATE ROLE unless it is there; the password is set anew each time, so that an interrupted start heals.
pg_role_sql() {
    local server=$1 role=$2 attributes=$3
    cat <<SQL
DO \$\$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '$role') THEN CREATE ROLE $role; END IF;
END \$\$;
ALTER ROLE $role LOGIN NOSUPERUSER NOBYPASSRLS $attributes PASSWORD '$(pg_password "$server" "$role")';
SQL
}

pg_database_sql() {
    echo "SELECT 'CREATE DATABASE $1 OWNER $2' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '$1') \\gexec"
}

# `owner` migrates, `serve` answers HTTP, `fleet` publishes and collects: three roles, none above row security.
pg_bootstrap_fleet() {
    {
        pg_role_sql pg-fleet flotilla_owner "NOCREATEDB NOCREATEROLE"
        pg_role_sql pg-fleet flotilla_serve "NOCREATEDB NOCREATEROLE"
        pg_role_sql pg-fleet flotilla_fleet "NOCREATEDB NOCREATEROLE"
        pg_database_sql flotilla flotilla_owner
        echo "REVOKE ALL ON DATABASE flotilla FROM PUBLIC;"
        echo "GRANT CONNECT ON DATABASE flotilla TO flotilla_serve, flotilla_fleet;"
    } | pg_super pg-fleet postgres
}

pg_bootstrap_pool() {
    {
        pg_role_sql pg-pool flotilla_admin "CREATEDB CREATEROLE"
        pg_database_sql flotilla_maintenance flotilla_admin
        # pg_hba is one lock, the right to connect another: a registry's role gets into no database but its own.
        echo "REVOKE ALL ON DATABASE flotilla_maintenance, postgres, template1 FROM PUBLIC;"
    } | pg_super pg-pool postgres
}

pg_up() {
    local name=$1
    pg_initdb "$name"
    pg_launch_settled "$name"
    "pg_bootstrap_${name#pg-}"
}

# Fast shutdown: sessions are ended, data is written.
pg_stop() { proc_stop "$1" INT 20; }

pg_purge() {
    local home
    home=$(pg_home)
    rm -rf "$home/pg-fleet" "$home/pg-fleet.init" "$home/pg-pool" "$home/pg-pool.init"
    rmdir "$home" "$(dirname "$home")" 2>/dev/null || true # the second only when no other stack uses it
}
