"""The quick start on the embedded cluster: `server/dev/up` and `down`, as people call them."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest
from harness import REPO
from harness.devcluster import Devcluster


class Quick:
    """One FLOTILLA_HOME and the two commands on it."""

    def __init__(self, home):
        self.home = home
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "KUBE"))}
        self.env = {**kept, "FLOTILLA_HOME": str(home)}

    def run(self, command, *args):
        return subprocess.run([REPO / "server/dev" / command, *args], env=self.env, capture_output=True, text=True, check=False)

    def up(self, *args):
        done = self.run("up", "--no-install", *args)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def registries(self):
        cluster = Devcluster(f"{self.home}/dev/stack/devcluster/cluster-1.kubeconfig")
        return {item["metadata"]["name"]: json.dumps(item["status"]["conditions"])
                for item in cluster.ok("GET", "/apis/registry.flotilla.dev/v1alpha1/registries")["items"]}


@pytest.fixture
def quick():
    home = pathlib.Path(tempfile.mkdtemp(prefix="quick-", dir=os.environ.get("FLOTILLA_TEST_DIR")))
    home.chmod(0o755)  # the account that runs PostgreSQL must get through
    made = Quick(home)
    yield made
    made.run("down", "--purge")
    shutil.rmtree(home, ignore_errors=True)


def processes_of(home):
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(home).encode() in path.read_bytes():
                found.append(path)
        except OSError:  # it has just ended
            pass
    return found


def test_up_scale_down(quick):
    said = quick.up()
    assert "deployments: demo-core" in said and "Ready registries of the tenant acme: 1." in said
    assert list(quick.registries()) == ["demo"]
    said = quick.up("--scale", "3")
    assert "there 1, made now 2, removed 0" in said and "acme: 3." in said
    found = quick.registries()
    assert sorted(found) == ["demo", "demo-2", "demo-3"]
    assert all('"type": "Ready"' in conditions for conditions in found.values())
    refused = quick.run("up", "--kube", "real")
    assert refused.returncode == 1 and "begun with the cluster 'dev'" in refused.stderr
    assert "begins anew" in quick.run("down").stderr
    assert "acme: 1." in quick.up(), "what a cluster that has ended left in the databases is nobody's"
    assert quick.run("down", "--purge").returncode == 0
    assert not (quick.home / "dev").exists() and not processes_of(quick.home)


@pytest.mark.parametrize("number", ["0", "-1", "101", "ten", "", "1e2", "99999999999999999999"])
def test_a_bad_scale_is_refused_before_anything_is_made(quick, number):
    refused = quick.run("up", "--scale", number)
    assert (refused.returncode, refused.stderr) == (1, "error: --scale takes a number from 1 to 100\n")
    assert not list(quick.home.iterdir())


def test_a_cluster_that_is_not_there_is_refused(quick):
    for wrong in (["--kubeconfig", "/nonexistent"], ["--kubeconfig"], ["--kube", "fake"], ["--kube", "dev", "--node"]):
        refused = quick.run("up", *wrong)
        assert refused.returncode == 1 and refused.stderr.startswith("error: --"), wrong
    assert not list(quick.home.iterdir())
