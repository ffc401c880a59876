"""The shell libraries of server/dev: whose a port is."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys

import pytest
from harness import REPO

LIBRARIES = 'state=$1; for lib in common ports proc; do source "server/dev/lib/$lib.sh"; done; shift; eval "$1"'


class Place:
    """State directories whose claims nobody else shares."""

    def __init__(self, path):
        self.path = path
        self.claims = path / f"flotilla-ports-{os.geteuid()}"

    def state(self, name):
        made = self.path / name
        made.mkdir(parents=True, exist_ok=True)
        return made

    def shell(self, state, text):
        return subprocess.run(["bash", "-euo", "pipefail", "-c", LIBRARIES, "shell", state, text], cwd=REPO, capture_output=True,
                              text=True, check=False, env={**os.environ, "TMPDIR": str(self.path)})

    def claimed(self):
        return {path.name: os.readlink(path) for path in self.claims.iterdir()} if self.claims.exists() else {}


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_a_claim_excludes_others_and_is_its_owners(place):
    first, second = place.state("first/stack"), place.state("second/stack")
    port = place.shell(first, "port_of redis-pool").stdout.strip()
    assert place.claimed() == {port: str(first)}
    assert place.shell(second, f"port_claim {port}").returncode == 1
    assert [path.name for path in first.iterdir()] == ["ports"], "nothing is written into another's directory"
    (second / "ports").mkdir()
    (second / "ports/redis-pool").write_text(port)  # as after its claim was lost
    assert place.shell(second, "ports_release").returncode == 0 and place.claimed() == {port: str(first)}
    assert place.shell(first, "ports_release").returncode == 0 and not place.claims.exists()


def test_nothing_is_released_where_nothing_was_claimed(place):
    assert place.shell(place.state("new"), "ports_release; echo done").stdout == "done\n"


def test_a_claim_of_what_is_gone_counts_for_nothing(place):
    place.claims.mkdir()
    (place.claims / "20000").symlink_to(place.path / "gone")
    state = place.state("new")
    assert place.shell(state, "port_claim 20000").returncode == 0 and place.claimed() == {"20000": str(state)}


@pytest.mark.parametrize("made", [lambda at: at.symlink_to("/tmp"), lambda at: at.write_text("")])
def test_claims_that_somebody_else_laid_out_are_refused(place, made):
    made(place.claims)
    refused = place.shell(place.state("new"), "port_of redis-pool")
    assert refused.returncode == 1 and f"{place.claims} is no directory of yours" in refused.stderr, refused.stderr


@contextlib.contextmanager
def listener(prefix=()):
    """The port of a process that answers every request with 200."""
    server = "import http.server as h; h.SimpleHTTPRequestHandler.do_GET = lambda self: self.send_response(200) or self.end_headers()\n"
    server += "s = h.HTTPServer(('127.0.0.1', 0), h.SimpleHTTPRequestHandler); print(s.server_port, flush=True); s.serve_forever()"
    with subprocess.Popen([*prefix, sys.executable, "-c", server], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def with_port(place, port):
    state = place.state("stack")
    (state / "ports").mkdir()
    (state / "ports/server").write_text(f"{port}\n")
    return state


def test_nothing_is_started_on_a_port_that_is_taken(place):
    with listener() as port:
        state = with_port(place, port)
        refused = place.shell(state, "proc_start server sleep 60")
    assert refused.returncode == 1 and f"server: port {port} on loopback is taken" in refused.stderr
    assert not (state / "run/server.pid").exists()


WAIT = "proc_start server {command}; echo {port} >$state/ports/server; trap 'proc_stop server' EXIT; proc_wait_ready server 1 {check}"


def test_who_does_not_listen_is_not_ready(place):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        state = with_port(place, port)
        late = place.shell(state, WAIT.format(command="sleep 60", port=port, check="true"))
    assert late.returncode == 1 and "server is not ready" in late.stderr


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="another account's process takes root")
def test_a_stranger_on_the_port_is_not_asked(place):
    """Neither as it is nor by the check, which would carry a password."""
    with listener(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]) as port:
        state = place.state("stack")
        (state / "ports").mkdir()
        late = place.shell(state, WAIT.format(command="sleep 60", port=port, check="touch $state/asked"))
        assert late.returncode == 1 and "server is not ready" in late.stderr and not (state / "asked").exists()
    with listener() as port:  # of the account itself
        assert place.shell(state, WAIT.format(command="sleep 60", port=port, check="touch $state/asked")).returncode == 0
