"""The quick start on the embedded cluster: `server/dev/up` and `down`, as people call them."""

import os
import shutil
import tempfile

import pytest
from harness.quick import Quick


@pytest.fixture
def quick():
    home = tempfile.mkdtemp(prefix="quick-", dir=os.environ.get("FLOTILLA_TEST_DIR"))
    os.chmod(home, 0o755)  # the account that runs PostgreSQL must get through
    made = Quick(home)
    yield made
    made.run("down", "--purge")
    shutil.rmtree(home, ignore_errors=True)


def test_up_scale_down(quick):
    said = quick.up("--no-install")
    assert "deployments: demo-core" in said and "Ready registries of the tenant acme: 1." in said
    assert quick.ready_registries() == ["demo"]
    assert "there 1, made now 2, removed 0" in quick.up("--scale", "3")
    assert quick.ready_registries() == ["demo", "demo-2", "demo-3"]
    refused = quick.run("up", "--kube", "real")
    assert refused.returncode == 1 and "begun with the cluster 'dev'" in refused.stderr
    assert "begins anew" in quick.run("down").stderr
    assert "acme: 1." in quick.up(), "what a cluster that has ended left in the databases is nobody's"
    assert quick.run("down", "--purge").returncode == 0
    assert not list(quick.home.iterdir()) and not quick.processes()


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


def test_a_directory_that_up_did_not_make_is_left_alone(quick):
    theirs = quick.home / "dev/stack/options"
    theirs.parent.mkdir(parents=True)
    theirs.write_text(f"touch {quick.home}/was-run\n")
    os.chmod(quick.home / "dev", 0o755)
    for command in (["up"], ["up", "--no-install"], ["down"], ["down", "--purge"]):
        refused = quick.run(*command)
        assert refused.returncode == 1 and "has no mark of server/dev/up" in refused.stderr, command
        assert sorted(map(str, quick.home.rglob("*"))) == [str(quick.home / name) for name in ("dev", "dev/stack", "dev/stack/options")]
    assert (quick.home / "dev").stat().st_mode & 0o777 == 0o755
    (quick.home / "dev/flotilla-dev").touch()  # what is asked of who has one of an earlier version
    assert quick.run("down", "--purge").returncode == 0 and not list(quick.home.iterdir())


def test_down_where_nothing_is(quick):
    for _ in range(2):
        done = quick.run("down", "--purge")
        assert done.returncode == 0 and "nothing is there" in done.stderr
        (quick.home / "dev").mkdir(exist_ok=True)  # as an `up` leaves it that is interrupted at once
