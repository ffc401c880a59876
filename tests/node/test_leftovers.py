"""What a real node leaves on the machine: nothing."""

import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import pytest
from harness import REPO
from harness.stack import COMMAND, Stack
from harness.wait import eventually

BACKENDS = ("pg-fleet", "pg-pool", "redis-pool", "s3-pool")


@pytest.fixture
def directory():
    made = tempfile.mkdtemp(prefix="second-", dir=os.environ.get("FLOTILLA_TEST_DIR"))
    os.chmod(made, 0o755)
    yield made
    subprocess.run([COMMAND, "down", made, "--purge"], check=False, capture_output=True)
    shutil.rmtree(made, ignore_errors=True)


def machine():
    """What other processes of this machine see. Folders by name: what daemons make when nobody tells them where."""
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    return {
        "mounts": pathlib.Path("/proc/self/mounts").read_text(encoding="utf-8"),
        "links": sorted(line.split(":")[1] for line in links.splitlines()),
        "rules": subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout,
        "sysctls": [pathlib.Path(f"/proc/sys/{name}").read_text(encoding="ascii") for name in (
            "vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward")],
        "hostname": os.uname().nodename,
        "folders": sorted(str(entry) for root in ("/run", "/opt", "/etc", "/var/lib", "/var/log", "/usr/libexec")
                          for entry in pathlib.Path(root).glob("*") if any(word in entry.name for word in ("cni", "kube", "containerd"))),
    }  # fmt: skip


def cgroups(directory):
    name = "flotilla-" + hashlib.sha256(directory.encode()).hexdigest()[:12]
    return list(pathlib.Path("/sys/fs/cgroup").glob(f"*/{name}"))


def namespaces(directory):
    """Those of the node, by name. Containers have further ones; they cannot outlive their cgroups."""
    pid = pathlib.Path(f"{directory}/run/node.pid").read_text(encoding="ascii").split()[0]
    return {os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("net", "mnt", "pid_for_children")}


def inhabitants(names):
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            inside = {os.readlink(path / "ns" / kind) for kind in ("net", "mnt", "pid")} & names
            if inside:
                found.append((path.name, (path / "cmdline").read_bytes()))
        except OSError:  # it has ended meanwhile
            pass
    return found


def assert_nothing_left(directory, before, names):
    assert machine() == before
    assert cgroups(directory) == [] and inhabitants(names) == []
    assert not os.path.exists(directory) or os.listdir(directory) == []


@pytest.mark.usefixtures("stack")
def test_a_second_node_beside_the_first(stack, directory):
    before = machine()
    second = Stack(directory, without=BACKENDS, node=True).up()
    names = namespaces(directory)
    assert machine() == before and cgroups(directory) and len(inhabitants(names)) > 5
    for each in (stack, second):
        nodes = [node["metadata"]["name"] for node in each.get("nodes")["items"]]
        assert nodes == [each.env["NODE_NAME"]], "the same name, and each its own"
        each.kubectl("create", "configmap", "whose", "-n", "default", f"--from-literal=directory={each.directory}")
    for each in (stack, second):
        assert each.get("configmap", "whose", "-n", "default")["data"]["directory"] == each.directory
    stack.kubectl("delete", "configmap", "whose", "-n", "default")
    started = time.monotonic()
    second.down()
    print(f"down in {time.monotonic() - started:.1f} s")
    assert_nothing_left(directory, before, names)
    assert stack.get("nodes")["items"], "the first is unharmed"


def test_a_killed_start_and_a_killed_node(directory):
    before = machine()
    command = [COMMAND, "up", directory, "--fast", "--node"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as script:
        eventually(lambda: os.path.exists(f"{directory}/run/kube-apiserver.pid"), 30, what="half of it")
        script.kill()
    second = Stack(directory, node=True).up()  # the same command goes on
    names = namespaces(directory)
    node = int(pathlib.Path(f"{directory}/run/node.pid").read_text(encoding="ascii").split()[0])
    os.kill(node, signal.SIGKILL)
    eventually(lambda: not inhabitants(names), 5, what="the end of all processes")
    second.down()
    assert_nothing_left(directory, before, names)


def test_down_keeps_what_was_written(directory):
    first = Stack(directory, node=True).up()
    first.kubectl("create", "configmap", "kept", "-n", "default")
    names = namespaces(directory)
    first._run("down")
    assert not inhabitants(names) and not cgroups(directory)
    assert Stack(directory).up().get("configmap", "kept", "-n", "default"), "and a later up needs no flags"


@pytest.mark.parametrize("without,name", [
    (["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"], "NeedsRoot"),
    (["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"], "NeedsNamespaces"),
    (["env", "PATH=/usr/local/bin:/usr/bin:/bin"], "NeedsPackages"),
])  # fmt: skip
def test_what_is_missing_has_a_name(tmp_path_factory, without, name):
    """Refused before anything is made. A copy: the account may not get to where this one lies."""
    with tempfile.TemporaryDirectory() as open_to_all:
        os.chmod(open_to_all, 0o777)
        shutil.copytree(REPO / "server/dev", f"{open_to_all}/server/dev")
        done = subprocess.run([*without, f"{open_to_all}/server/dev/stack", "up", f"{open_to_all}/stack", "--node"],
                              capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 1 and done.stderr.startswith(f"error: {name}: "), done.stderr
