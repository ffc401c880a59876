"""OvhNginx on a real API server: the first operator, and with it the engine: apply, drift, prune of nothing that
is not ours, shards that move, a process that ends rather than write on a lost Lease."""

import functools
import json
import signal
import time

import pytest
from harness import metrics
from harness.cluster import Cluster
from harness.killpoint import Quiet
from harness.wait import eventually

LEASE_TIMES = ["--lease-duration-ms=6000", "--lease-renew-ms=1500", "--lease-deadline-ms=4500"]
SHORT_LEASES = ["--lease-duration-ms=3000", "--lease-renew-ms=750", "--lease-deadline-ms=2000"]
PATIENT_LEASES = ["--lease-duration-ms=8000", "--lease-renew-ms=2000", "--lease-deadline-ms=6000"]
PATIENT_S = 8
LEASE_LOST = 70  # the watchdog's exit status
SHARDS = 33
RESOURCES = {"onx": "ovhnginxes", "deploy": "deployments", "svc": "services"}
cluster_of = functools.cache(Cluster)


class World:
    """One namespace with what the tests say to it."""

    def __init__(self, stack, namespace):
        self.stack, self.namespace = stack, namespace
        self.cluster = cluster_of(stack)

    def kubectl(self, *args, **kwargs):
        return self.stack.kubectl("-n", self.namespace, *args, **kwargs)

    def get(self, kind, name, missing_ok=False):
        found = self.cluster.get(RESOURCES[kind], name, self.namespace)
        assert found or missing_ok, f"{kind} {name} is not there"
        return found

    def apply(self, name, replicas, port=80, check=True):
        item = {
            "apiVersion": "tutorials.ovhcloud.com/v1", "kind": "OvhNginx",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"replicaCount": replicas, "port": port},
        }
        return self.stack.kubectl("apply", "-f", "-", stdin=json.dumps(item), check=check)

    def wait_ready(self, name, timeout=60):
        self.kubectl("wait", "--for=condition=Ready", f"onx/{name}", f"--timeout={timeout}s")

    def ready(self, name):
        conditions = self.get("onx", name).get("status", {}).get("conditions", [])
        return next((row for row in conditions if row["type"] == "Ready"), {})


@pytest.fixture
def world(stack, request):
    namespace = request.node.name.replace("_", "-").replace("[", "-").strip("]")[:50].rstrip("-")
    stack.kubectl("create", "namespace", namespace)
    yield World(stack, namespace)
    stack.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
def operate(flotillad, stack):
    def start(*args, env=None):
        return flotillad(
            ["operate", "--kubeconfig", stack.env["KUBECONFIG_OPERATE"], *LEASE_TIMES, *args], env=env)

    return start


def holders(stack, namespace="flotilla-system"):
    leases = cluster_of(stack).list("leases", namespace, "flotilla.dev/lease=shard")
    return [lease["spec"].get("holderIdentity") for lease in leases]


def all_held(stack, *identities, namespace="flotilla-system"):
    held = holders(stack, namespace)
    return len(held) == SHARDS and set(held) == set(identities)


def wait_all_held(stack, *identities, namespace="flotilla-system", timeout=60):
    eventually(lambda: all_held(stack, *identities, namespace=namespace), timeout, what=f"{identities} hold all shards")


# ---- the life of one object ----


def test_create_makes_deployment_and_service(world, operate):
    operate()
    world.apply("web", 2, 8080)
    world.wait_ready("web")
    root, deployment, service = world.get("onx", "web"), world.get("deploy", "web"), world.get("svc", "web")
    assert deployment["spec"]["replicas"] == 2
    assert (service["spec"]["type"], service["spec"]["ports"][0]["port"]) == ("LoadBalancer", 8080)
    for child in (deployment, service):
        owner = child["metadata"]["ownerReferences"][0]
        assert (owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == (root["metadata"]["uid"], True, True)
        assert len(child["metadata"]["labels"]["flotilla.dev/root"]) == 16
        assert child["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "flotilla"
        fields = json.loads(world.kubectl("get", child["kind"], "web", "-o", "json", "--show-managed-fields"))["metadata"]["managedFields"]
        applied = [row for row in fields if row["manager"] == "flotilla-ovhnginx"]
        assert [row["operation"] for row in applied] == ["Apply"], "one owner of our fields, from the first write on"
    assert root["status"]["observedGeneration"] == root["metadata"]["generation"]
    assert (root["status"]["replicas"], root["status"]["readyReplicas"]) == (2, 2)


def test_people_see_columns_events_and_the_example(stack, operate):
    operate()
    stack.kubectl("apply", "-f", "crds/examples/ovhnginx.yaml")
    sample = World(stack, "ovhnginx-sample")
    sample.wait_ready("ovhnginx-sample")
    head, row = sample.kubectl("get", "onx").splitlines()
    assert head.split() == ["NAME", "READY", "REASON", "REPLICAS", "AVAILABLE", "PORT", "AGE"]
    assert row.split()[:6] == ["ovhnginx-sample", "True", "Current", "1", "1", "80"]
    assert "onx" in stack.kubectl("api-resources", "--categories=flotilla")
    eventually(lambda: "2 objects applied" in sample.kubectl("describe", "onx", "ovhnginx-sample"))
    stack.kubectl("delete", "namespace", "ovhnginx-sample", "--wait=false")


def test_changes_follow_the_spec(world, operate):
    operate()
    world.apply("web", 1)
    world.wait_ready("web")
    world.apply("web", 3, 8443)
    eventually(lambda: world.get("deploy", "web")["spec"]["replicas"] == 3)
    eventually(lambda: world.get("svc", "web")["spec"]["ports"][0]["port"] == 8443)
    eventually(lambda: world.get("onx", "web")["status"]["readyReplicas"] == 3)
    world.kubectl("scale", "onx/web", "--replicas=0")
    eventually(lambda: world.get("deploy", "web")["spec"]["replicas"] == 0)
    eventually(lambda: world.get("onx", "web")["status"]["replicas"] == 0 and world.ready("web")["status"] == "True")


DRIFTS = {
    "value": (["patch", "deploy/web", "--type=merge", "-p", '{"spec":{"replicas":5}}'],
              lambda w: w.get("deploy", "web")["spec"]["replicas"] == 1),
    "type": (["patch", "svc/web", "--type=merge", "-p", '{"spec":{"type":"ClusterIP"}}'],
             lambda w: w.get("svc", "web")["spec"]["type"] == "LoadBalancer"),
    "image": (["set", "image", "deploy/web", "nginx=evil"],
              lambda w: w.get("deploy", "web")["spec"]["template"]["spec"]["containers"][0]["image"].startswith("nginx:")),
    "cache-label": (["label", "deploy/web", "app.kubernetes.io/managed-by-"],
                    lambda w: "app.kubernetes.io/managed-by" in w.get("deploy", "web")["metadata"]["labels"]),
    "root-label": (["label", "svc/web", "flotilla.dev/root-"],
                   lambda w: "flotilla.dev/root" in w.get("svc", "web")["metadata"]["labels"]),
    "owner": (["patch", "svc/web", "--type=merge", "-p", '{"metadata":{"ownerReferences":null}}'],
              lambda w: w.get("svc", "web")["metadata"].get("ownerReferences")),
    "deleted": (["delete", "svc/web"], lambda w: w.get("svc", "web", missing_ok=True)),
}


@pytest.mark.parametrize("drift", DRIFTS)
def test_drift_by_hand_is_repaired(world, operate, drift):
    operate()
    world.apply("web", 1)
    world.wait_ready("web")
    command, repaired = DRIFTS[drift]
    world.kubectl(*command)
    eventually(lambda: repaired(world), what=f"drift {drift} repaired")
    eventually(lambda: world.ready("web").get("status") == "True")


def test_defaults_and_foreign_additions_are_left(world, operate):
    operate()
    world.apply("web", 1)
    world.wait_ready("web")
    world.kubectl("annotate", "deploy/web", "example.org/note=mine")
    world.kubectl("label", "svc/web", "team=shop")
    world.apply("web", 2)
    eventually(lambda: world.get("deploy", "web")["spec"]["replicas"] == 2)
    assert world.get("deploy", "web")["metadata"]["annotations"]["example.org/note"] == "mine"
    assert world.get("svc", "web")["metadata"]["labels"]["team"] == "shop"


@pytest.mark.parametrize("cascade", ["background", "foreground"])
def test_delete_takes_the_children_along(world, operate, cascade):
    operate()
    world.apply("web", 1)
    world.wait_ready("web")
    world.kubectl("delete", "onx/web", f"--cascade={cascade}", "--timeout=60s")
    for kind in ("onx", "deploy", "svc"):
        eventually(lambda kind=kind: world.get(kind, "web", missing_ok=True) is None, 20, what=f"{kind} gone")


def test_what_is_not_ours_is_never_overwritten(world, operate):
    """Docs/adr/0002: the object is there but in no cache of ours, so the apply must be create-only."""
    operate()
    world.kubectl("create", "deployment", "web", "--image=theirs")
    world.apply("web", 1)
    eventually(lambda: world.ready("web").get("reason") == "ObjectTaken")
    assert world.get("deploy", "web")["spec"]["template"]["spec"]["containers"][0]["image"] == "theirs"
    assert "flotilla.dev/root" not in world.get("deploy", "web")["metadata"]["labels"]
    world.kubectl("delete", "deploy", "web")
    world.kubectl("annotate", "onx/web", "look=again")
    world.wait_ready("web")


def test_an_event_that_was_not_sent_is_sent_by_a_later_pass(world, operate, tmp_path):
    first = operate()
    world.apply("web", 1)
    world.wait_ready("web")
    assert first.stop() == 0
    operate(env={"FLOTILLA_FAILPOINTS": "kube.event.create.before=error", "FLOTILLA_FAILPOINT_DIR": tmp_path})
    world.apply("web", 2)
    eventually((tmp_path / "fired.kube.event.create.before").exists)
    world.apply("web", 3)  # has the same to say
    eventually(lambda: "1 objects applied" in world.kubectl("describe", "onx/web"), what="the event came after all")


BAD_INPUTS = [
    ({"replicaCount": -1, "port": 80}, "replicaCount"),
    ({"replicaCount": 101, "port": 80}, "replicaCount"),
    ({"replicaCount": "two", "port": 80}, "replicaCount"),
    ({"replicaCount": 1.5, "port": 80}, "replicaCount"),
    ({"replicaCount": 1, "port": 0}, "port"),
    ({"replicaCount": 1, "port": 65536}, "port"),
    ({"replicaCount": 1}, "port"),
    ({"port": 80}, "replicaCount"),
    ({"replicaCount": 1, "port": 80, "image": "evil"}, "image"),
]


def test_bad_input_is_refused_by_the_server(world):
    for spec, field in BAD_INPUTS:
        item = {"apiVersion": "tutorials.ovhcloud.com/v1", "kind": "OvhNginx",
                "metadata": {"name": "bad", "namespace": world.namespace}, "spec": spec}
        done = world.kubectl("apply", "-f", "-", stdin=json.dumps(item), check=False)
        assert done.returncode != 0 and field in done.stderr, (spec, done.stderr)
    for name in ("1web", "a.b", "x" * 64):
        done = world.apply(name, 1, check=False)
        assert done.returncode != 0 and "metadata.name" in done.stderr, (name, done.stderr)


# ---- the engine ----


def fat_deployment(world, name, text):
    return json.dumps(
        {"apiVersion": "apps/v1", "kind": "Deployment",
         "metadata": {"name": name, "namespace": world.namespace,
                      "labels": {"app.kubernetes.io/managed-by": "flotilla"}},
         "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}},
                  "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [
                      {"name": "c", "image": "c", "env": [{"name": "FAT", "value": text}]}]}}}})


def test_one_namespace_does_not_fill_the_cache(world, operate, stack):
    crowd = World(stack, f"{world.namespace[:40]}-crowd")
    stack.kubectl("create", "namespace", crowd.namespace)
    operator = operate()
    for number in range(5):
        stack.kubectl("create", "-f", "-", stdin=fat_deployment(crowd, f"fat-{number}", "x" * 1_200_000))

    def skipped(process):  # two, and each once more for each status that a controller writes
        labels = {"kind": "Deployment", "reason": "NamespaceFull"}
        rows = metrics.read(process, "flotilla_cache_skipped_total")
        return sum(count for found, count in rows if found == labels) >= 2

    eventually(lambda: skipped(operator), 20)
    world.apply("web", 1)
    world.wait_ready("web")
    again = operate()  # and by its first list
    eventually(lambda: skipped(again), 20)
    stack.kubectl("delete", "namespace", crowd.namespace, "--wait=false")


def test_a_fat_object_stops_nobody(world, operate, stack):
    """What anybody can make: protobuf in etcd, but JSON of six bytes for each "<" on its way to us."""
    operate()
    world.apply("web", 1)
    world.wait_ready("web")
    # as it is: kubectl itself would write "<" in six bytes, which the API server does not take
    path = f"/apis/apps/v1/namespaces/{world.namespace}/deployments"
    stack.kubectl("create", "--raw", path, "-f", "-", stdin=fat_deployment(world, "fat", "<" * 1_300_000))
    world.kubectl("delete", "deploy/web")
    world.wait_ready("web")  # its deletion was heard behind the fat one
    eventually(lambda: world.get("deploy", "web", missing_ok=True), what="made anew")
    operate().wait_log(lambda line: "ready" in line.get("msg", ""))
    world.apply("late", 1)
    world.wait_ready("late")


def test_a_converged_object_costs_no_write(world, operate, stack):
    quiet, operator = Quiet(stack, world.namespace, "ovhnginx"), operate()
    world.apply("web", 1)
    world.wait_ready("web")
    eventually(lambda: "1 objects" in (text := world.kubectl("describe", "onx/web")) or "2 objects" in text)
    quiet.assert_after(lambda: world.kubectl("annotate", "onx/web", "look=again"), operator)
    time.sleep(3)
    assert not (writes := quiet.writes()), writes


def test_shards_are_shared_handed_over_and_taken_over(world, operate, stack):
    first = operate("--identity=operate-a", *PATIENT_LEASES)
    wait_all_held(stack, "operate-a")
    second = operate("--identity=operate-b", *PATIENT_LEASES)
    wait_all_held(stack, "operate-a", "operate-b")
    eventually(lambda: min(holders(stack).count(name) for name in ("operate-a", "operate-b")) >= 6, what="each has its share")
    for number in range(8):  # some in each one's shards
        world.apply(f"web-{number}", 1)
    for number in range(8):
        world.wait_ready(f"web-{number}")

    first.kill()
    killed = time.monotonic()
    wait_all_held(stack, "operate-b")
    assert time.monotonic() - killed < 3 * PATIENT_S, "two Lease durations and some"
    for number in range(8):
        world.apply(f"web-{number}", 2)
    for number in range(8):
        eventually(lambda n=number: world.get("deploy", f"web-{n}")["spec"]["replicas"] == 2)

    operate("--identity=operate-c", *PATIENT_LEASES)
    wait_all_held(stack, "operate-b", "operate-c")
    assert second.stop() == 0
    given = time.monotonic()
    wait_all_held(stack, "operate-c")
    assert time.monotonic() - given < PATIENT_S - 1, "given back, not run out"
    assert not stack.kubectl("get", "leases", "-n", "flotilla-system", "flotilla-member-operate-b", check=False).stdout


def has_no_pass(process):
    return sum(value for _, value in metrics.read(process, "controller_runtime_active_workers")) == 0


def test_who_was_believed_dead_drops_all_and_comes_back(world, operate, stack):
    """Or ends, where it was stopped inside a pass, which none can rule out: then its Deployment starts it again."""
    def start(name):
        return operate(f"--identity=operate-{name}", *PATIENT_LEASES)

    def member(name):
        found = stack.kubectl("get", "leases", "-n", "flotilla-system", f"flotilla-member-{name}", "-o",
                              "jsonpath={.metadata.uid}", check=False)
        return found.stdout if found.returncode == 0 else None

    first, second = start("d"), start("e")
    wait_all_held(stack, "operate-d", "operate-e")
    fenced = member("operate-d")
    eventually(lambda: has_no_pass(first), 30)
    first.process.send_signal(signal.SIGSTOP)
    wait_all_held(stack, "operate-e")
    assert member("operate-d") is None, "before anything was taken, its member Lease was removed"
    first.process.send_signal(signal.SIGCONT)
    lives = [first]

    def shared_again():
        if lives[-1].process.poll() is not None:
            assert lives[-1].wait() == LEASE_LOST, lives[-1].logs[-3:]
            lives.append(start("d"))
        return all_held(stack, "operate-d", "operate-e")

    eventually(shared_again, 60)
    assert member("operate-d") not in (None, fenced)
    world.apply("web", 1)
    world.wait_ready("web")
    assert second.stop() == 0


def fresh_lease_namespace(world):
    """Leases that do not exist yet: the first call is then a create, and lease.renew the first renewal."""
    name = f"{world.namespace[:40]}-leases"
    world.stack.kubectl("create", "namespace", name)
    return name


def test_a_pass_that_stays_inside_a_lost_shard_ends_the_process(world, operate):
    leases = fresh_lease_namespace(world)
    world.apply("web", 1)
    process = operate(f"--operator-namespace={leases}", *PATIENT_LEASES, env={
        "FLOTILLA_FAILPOINTS": "lease.renew.before=hang(90000);kube.object.apply.before=hang(90000)"})
    assert process.wait(60) == LEASE_LOST, "long before what hangs goes on"
    assert any("whose Lease has run out" in line.get("msg", "") for line in process.logs)
    assert world.get("deploy", "web", missing_ok=True) is None, "what hung was never sent"
    operate()
    world.wait_ready("web")


def test_past_the_deadline_nothing_is_written(world, operate, tmp_path):
    """The Lease thread hangs; passes begin no more, and what comes after the hang is done as if newly acquired."""
    leases = fresh_lease_namespace(world)
    operate(f"--operator-namespace={leases}", *SHORT_LEASES, env={
        "FLOTILLA_FAILPOINTS": "lease.renew.before=hang(15000)", "FLOTILLA_FAILPOINT_DIR": tmp_path})
    fired = tmp_path / "fired.lease.renew.before"
    eventually(fired.exists, 40)
    hangs_since = fired.stat().st_mtime
    time.sleep(2)  # the deadline counts from the renewal before
    world.apply("web", 1)
    time.sleep(2)
    found = world.get("svc", "web", missing_ok=True)
    assert time.time() < hangs_since + 15, "looked too late to know"
    assert found is None
    world.wait_ready("web")
