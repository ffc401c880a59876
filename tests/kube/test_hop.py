"""To another version of Harbor and back: real API server, real backends, pods played by KWOK, migrations by the test."""

import hashlib
import json
import subprocess

import psycopg2
import pytest
from harness.cell import read_row
from harness.hops import FOLDER, SCHEMAS, databases, dumps, held_pods, ready, schema, set_schema, state, told
from harness.wait import eventually

OLD, NEW = "2.14.4", "2.15.2"
WRITERS = ("core", "jobservice", "exporter")  # to the database


@pytest.fixture(scope="module")
def operate_env(stack, tmp_path_factory):
    return {**stack.cell_env(tmp_path_factory.mktemp("cell")), "FLOTILLA_LEAVE_OUT": ""}


@pytest.fixture
def registry(cell):
    """Of 2.14, with data."""
    made = ready(cell.registry(cell.namespace("hop"), version="2.14", components={"exporter": True}))
    set_schema(cell, made, SCHEMAS[OLD])
    made.write_row()
    return made


def runs(registry):
    return registry.get()["status"]["version"]


def image(registry, name):
    return registry.child("deployment", name)["spec"]["template"]["spec"]["containers"][0]["image"].rpartition(":v")[2]


def row_is_there(registry):
    return read_row(registry.cell, registry.cell.conninfo(registry.id))


def migrating(registry):
    return told(registry, "Migration", "Unknown", "Migrating")


def message(registry, kind):
    return next(c for c in registry.get()["status"]["conditions"] if c["type"] == kind)["message"]


def job(registry):
    jobs = registry.cell.stack.get("jobs", "-n", registry.namespace)["items"]
    assert len(jobs) == 1
    return jobs[0]


def test_hop_dumps_migrates_and_starts_the_new_version(cell, registry):
    assert runs(registry) == OLD and registry.condition("Migration") is None
    session = psycopg2.connect(cell.conninfo(registry.id))
    with held_pods(cell):
        registry.spec(version="2.15")
        migrating(registry)
        assert runs(registry) == OLD and registry.condition()[1] == "Hopping" and registry.condition("Available")[0] == "False"
        for name in WRITERS:
            assert registry.child("deployment", name)["spec"]["replicas"] == 0, name
        left = {pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in registry.pods() if pod["status"]["phase"] == "Running"}
        assert left == {"portal", "registry"}
        assert image(registry, "portal") == OLD, "the rest waits for the new core"
        with pytest.raises(psycopg2.Error):
            session.cursor().execute("SELECT 1")
        told_dump = registry.get()["status"]["dump"]
        parts = sorted(dumps(cell, registry))
        assert parts == [f"{told_dump['prefix']}{number:05}" for number in range(told_dump["parts"])]
        assert told_dump["prefix"].startswith(f"{FOLDER}{OLD}-{NEW}/")
        archive = b"".join(cell.store().answer("GET", f"/t-{registry.id}/{part}") for part in parts)
        assert (len(archive), hashlib.sha256(archive).hexdigest()) == (told_dump["bytes"], told_dump["sha256"])
        listed = subprocess.run(["pg_restore", "--file=-"], input=archive, capture_output=True, check=True).stdout.decode()
        assert "still here" in listed and "schema_migrations" in listed
        set_schema(cell, registry, SCHEMAS[NEW])
    ready(registry)
    assert runs(registry) == NEW and {image(registry, name) for name in (*WRITERS, "portal")} == {NEW}
    assert registry.condition("Migration") == ("True", "Migrated") and row_is_there(registry)
    assert {"HopBegan", "Dumped", "SchemaMigrated", "Migrated"} <= registry.events()
    before = registry.get()["metadata"]["resourceVersion"]
    with pytest.raises(AssertionError):
        eventually(lambda: registry.get()["metadata"]["resourceVersion"] != before, 3, interval=0.2)


def test_dirty_schema_is_rolled_back_with_the_data_of_before(cell, registry):
    with held_pods(cell):
        registry.spec(version="2.15")
        migrating(registry)
        conninfo = cell.conninfo(registry.id)
        cell.sql("DROP TABLE kept; CREATE TABLE half (made text)", conninfo=conninfo)
        set_schema(cell, registry, 175, dirty=True)
    told(registry, "Migration", "False", "RolledBack")
    assert registry.condition() == ("False", "RolledBack")
    assert registry.condition("Stalled") == ("True", "RolledBack") and "dirty" in message(registry, "Stalled")
    assert row_is_there(registry) and schema(cell, registry) == [(SCHEMAS[OLD], False)]
    assert not cell.sql("SELECT 1 FROM pg_tables WHERE tablename = 'half'", conninfo=conninfo)
    assert databases(cell, registry) == [f"t_{registry.id}"] and runs(registry) == OLD
    assert {image(registry, name) for name in (*WRITERS, "portal")} == {OLD}
    assert registry.condition("StackReady")[0] == registry.condition("Available")[0] == "True"
    assert registry.get()["spec"]["version"] == "2.15" and {"MigrationFailed", "Restored", "RolledBack"} <= registry.events()
    before = registry.get()["metadata"]["resourceVersion"]
    with pytest.raises(AssertionError):  # and not tried again
        eventually(lambda: registry.get()["metadata"]["resourceVersion"] != before, 3, interval=0.2)
    registry.spec(version="2.14")  # back to what runs: taken, though the spec was ahead
    ready(registry)
    assert registry.condition("Migration") is None and registry.condition("Stalled") is None


def test_rolled_back_hop_is_tried_again_when_asked_and_ends_where_it_leads(cell, registry):
    registry.spec(version="2.15")  # no pod migrates anything: the Job ends, and the schema is the old one
    told(registry, "Migration", "False", "RolledBack")
    with held_pods(cell):
        cell.patch("registry", registry.name, {"metadata": {"annotations": {"registry.flotilla.dev/retry-hop": "1"}}}, registry.namespace)
        migrating(registry)
        registry.spec(version="2.14")  # too late to be withdrawn
        set_schema(cell, registry, SCHEMAS[NEW])
    told(registry, "Stalled", "True", "VersionUnreachable")
    assert runs(registry) == NEW and "2.15.2 runs on" in message(registry, "Stalled") and row_is_there(registry)
    assert registry.condition("StackReady")[0] == registry.condition("Available")[0] == "True"
    done = cell.stack.kubectl("patch", "registry", registry.name, "-n", registry.namespace, "--type=merge", "-p",
                              json.dumps({"spec": {"version": "2.13"}}), check=False)
    assert done.returncode != 0 and "from 2.15.2 a hop goes to a later patch or one of the next two minors, not to 2.13" in done.stderr
    registry.spec(version="2.15")
    ready(registry)


def test_failed_job_is_rolled_back(cell, registry):
    with held_pods(cell):
        registry.spec(version="2.15")
        migrating(registry)
        cell.patch("job", job(registry)["metadata"]["name"], {"spec": {"activeDeadlineSeconds": 1}}, registry.namespace)
        eventually(lambda: state(cell, registry)["step"] != "Migrating", 60, what="the Job has failed")
    told(registry, "Migration", "False", "RolledBack")
    assert "the migration Job failed" in message(registry, "Stalled") and row_is_there(registry)


@pytest.mark.parametrize("version,dirty,reason", [(171, True, "SchemaDirty"), (155, False, "SchemaUnknown")])
def test_hop_does_not_begin_at_a_schema_that_is_not_as_it_should_be(cell, registry, version, dirty, reason):
    set_schema(cell, registry, version, dirty)
    registry.spec(version="2.15")
    told(registry, "Stalled", "True", reason)
    assert registry.condition("Migration") == ("False", reason) and runs(registry) == OLD
    assert registry.child("deployment", "core")["spec"]["replicas"] == 1 and registry.condition("Available")[0] == "True"
    assert dumps(cell, registry) == []
    registry.spec(version="2.14")
    ready(registry)


def test_hop_waits_for_the_last_pod_and_can_be_given_up(cell, registry):
    owner = registry.child("deployment", "core")
    cell.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {
        "name": "old", "namespace": registry.namespace,
        "labels": {"flotilla.dev/registry": registry.name, "app.kubernetes.io/component": "core"},
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": owner["metadata"]["name"],
                             "uid": owner["metadata"]["uid"], "controller": True}]},
        "spec": {"containers": [{"name": "core", "image": "core"}]}})
    registry.spec(version="2.15")
    eventually(lambda: "pod old still runs" in message(registry, "Migration"), 60, what="the pod is waited for")
    assert registry.condition("Migration") == ("Unknown", "Stopping") and dumps(cell, registry) == []
    registry.spec(version="2.14")
    cell.stack.kubectl("delete", "pod", "old", "-n", registry.namespace, "--now")
    ready(registry)
    assert registry.child("deployment", "core")["spec"]["replicas"] == 1 and row_is_there(registry)
