"""The shell libraries of server/dev: whose a port is."""

import os
import subprocess

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
