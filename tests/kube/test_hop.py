"""To another version of Harbor and back: real API server, real backends, pods played by KWOK, migrations by the test."""

import hashlib
import json
import subprocess
import urllib.parse

import psycopg2
import pytest
from harness.cell import read_row
from harness.hops import FOLDER, SCHEMAS, databases, dumps, held_migration, held_nodes, job_of, lose_image, pin, ready, schema, set_schema, state, told, unpin
from harness.wait import eventually, rests, within

OLD, NEW = "2.14.4", "2.15.2"
WRITERS = ("core", "jobservice", "exporter")  # to the database


@pytest.fixture(scope="module")
def operate_env(stack, tmp_path_factory):
    """Four workers make one place for dumps."""
    return {**stack.cell_env(tmp_path_factory.mktemp("cell")), "FLOTILLA_LEAVE_OUT": "", "FLOTILLA_PULL_WAIT_MS": 4000, "FLOTILLA_WORKERS": 4}


def filled(cell):
    """A registry of 2.14, with data."""
    made = ready(cell.registry(cell.namespace("hop"), version="2.14", components={"exporter": True}))
    set_schema(cell, made, SCHEMAS[OLD])
    made.write_row()
    return made


@pytest.fixture
def registry(cell):
    return filled(cell)


def runs(registry):
    return registry.get()["status"]["version"]


def image(registry, name):
    return registry.child("deployment", name)["spec"]["template"]["spec"]["containers"][0]["image"].rpartition(":v")[2]


def row_is_there(registry):
    return read_row(registry.cell, registry.cell.conninfo(registry.id))


def message(registry, kind):
    return next(c for c in registry.get()["status"]["conditions"] if c["type"] == kind)["message"]


def kept_job(registry, job):
    jobs = registry.cell.stack.get("jobs", "-n", registry.namespace)["items"]
    return [other for other in jobs if other["metadata"]["uid"] == job["metadata"]["uid"]]


def pod_lists(registry):
    """What an operator asked the server itself about its pods."""
    return [urllib.parse.unquote(event["requestURI"]) for event in registry.cell.stack.audit_events()
            if event["verb"] == "list" and event.get("objectRef", {}).get("resource") == "pods"
            and event["objectRef"].get("namespace") == registry.namespace and event["user"]["username"] == "flotilla-operate"]


def test_hop_dumps_migrates_and_starts_the_new_version(cell, registry):
    assert runs(registry) == OLD and registry.condition("Migration") is None
    session = psycopg2.connect(cell.conninfo(registry.id))
    with held_migration(cell, registry, lambda: registry.spec(version="2.15")):
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
    assert registry.told("HopBegan", "Dumped", "SchemaMigrated", "Migrated")
    rests(lambda: registry.get()["metadata"]["resourceVersion"], 3)


def test_dirty_schema_is_rolled_back_with_the_data_of_before(cell, registry):
    with held_migration(cell, registry, lambda: registry.spec(version="2.15")):
        conninfo = cell.conninfo(registry.id)
        cell.sql("DROP TABLE kept; CREATE TABLE half (made text)", conninfo=conninfo)
        set_schema(cell, registry, 175, dirty=True)
    told(registry, "Migration", "False", "RolledBack")
    assert registry.condition() == ("False", "RolledBack")
    dump = registry.get()["status"]["dump"]
    assert registry.condition("Stalled") == ("True", "RolledBack") and "dirty" in message(registry, "Stalled")
    assert row_is_there(registry) and schema(cell, registry) == [(SCHEMAS[OLD], False)]
    assert not cell.sql("SELECT 1 FROM pg_tables WHERE tablename = 'half'", conninfo=conninfo)
    assert databases(cell, registry) == [f"t_{registry.id}"] and runs(registry) == OLD
    assert {image(registry, name) for name in (*WRITERS, "portal")} == {OLD}
    assert registry.condition("StackReady")[0] == registry.condition("Available")[0] == "True"
    assert registry.get()["spec"]["version"] == "2.15" and registry.told("MigrationFailed", "Returning", "RolledBack")
    rests(lambda: registry.get()["metadata"]["resourceVersion"], 3)
    assert registry.condition("Migration") == ("False", "RolledBack") and registry.get()["status"]["dump"] == dump, "and not tried again"
    registry.spec(version="2.14")  # back to what runs: taken, though the spec was ahead
    ready(registry)
    assert registry.condition("Migration") is None and registry.condition("Stalled") is None


def test_a_dump_that_is_lost_keeps_nobody_from_closing(cell, registry):
    """A tenant may write its bucket: its registry can be locked all the same, and comes back when the dump is there again."""
    store, row = cell.store(), f"t_{registry.id}"
    with held_migration(cell, registry, lambda: registry.spec(version="2.15")):
        parts = {f"/t-{registry.id}/{name}": None for name in dumps(cell, registry)}
        for path in parts:
            parts[path] = store.answer("GET", path)
            store.call("DELETE", path)
        set_schema(cell, registry, 175, dirty=True)
    told(registry, "Migration", "False", "Restoring")
    eventually(lambda: databases(cell, registry) == [row, f"{row}_failed"], 60, what="a restore was tried")
    registry.spec(lifecycle="Closed", purgeAfter="2099-01-01T00:00:00Z")
    registry.wait("False", "Closed")
    assert cell.sql("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", row) == [(False,)]
    for path, data in parts.items():
        store.call("PUT", path, data)
    registry.spec(lifecycle="Active", purgeAfter=None)
    told(registry, "Migration", "False", "RolledBack")
    assert row_is_there(registry) and schema(cell, registry) == [(SCHEMAS[OLD], False)]


def test_rolled_back_hop_is_tried_again_when_asked_and_ends_where_it_leads(cell, registry):
    registry.spec(version="2.15")  # no pod migrates anything: the Job ends, and the schema is the old one
    told(registry, "Migration", "False", "RolledBack")
    again = {"metadata": {"annotations": {"registry.flotilla.dev/retry-hop": "1"}}}
    with held_migration(cell, registry, lambda: cell.patch("registry", registry.name, again, registry.namespace)):
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
    with held_migration(cell, registry, lambda: registry.spec(version="2.15")):
        cell.patch("job", job_of(registry)["metadata"]["name"], {"spec": {"activeDeadlineSeconds": 1}}, registry.namespace)
        eventually(lambda: state(cell, registry)["step"] != "Migrating", 60, what="the Job has failed")
        failed = job_of(registry)
    told(registry, "Migration", "False", "RolledBack")
    assert "the migration Job failed" in message(registry, "Stalled") and row_is_there(registry)
    assert f"its log is that of the pods of Job {failed['metadata']['name']};" in message(registry, "Stalled")
    assert kept_job(registry, failed), "so are its pods, and their logs"
    registry.spec(version="2.14")
    ready(registry)
    eventually(lambda: not kept_job(registry, failed), what="until another version is wanted")


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
    pin(cell, registry)
    registry.spec(version="2.15")
    eventually(lambda: "pod old still runs" in message(registry, "Migration"), 60, what="the pod is waited for")
    assert registry.condition("Migration") == ("Unknown", "Stopping") and dumps(cell, registry) == []
    registry.spec(version="2.14")
    unpin(cell, registry)
    ready(registry)
    assert registry.child("deployment", "core")["spec"]["replicas"] == 1 and row_is_there(registry)


def test_registry_serves_on_while_others_have_the_place(cell, registry):
    other = filled(cell)
    pin(cell, registry)
    registry.spec(version="2.15")
    told(registry, "Migration", "Unknown", "Stopping")
    other.spec(version="2.15")
    told(other, "Migration", "Unknown", "WaitingForPlace")
    assert other.condition("Available")[0] == "True" and other.child("deployment", "core")["spec"]["replicas"] == 1
    registry.spec(version="2.14")
    within(lambda: other.condition("Migration")[1] != "WaitingForPlace", 25, what="it is woken, before its clock of half a minute would")
    unpin(cell, registry)
    ready(registry)
    told(other, "Migration", "False", "RolledBack")
    assert row_is_there(other)


def test_hop_stops_nothing_before_the_images_are_pulled(cell, registry):
    with held_nodes(cell):
        registry.spec(version="2.15")
        told(registry, "Migration", "Unknown", "PullingImages")
        image = lose_image(cell, registry, "images")
        told(registry, "Stalled", "True", "ImageUnavailable")
        assert registry.condition("Migration") == ("False", "ImageUnavailable") and image in message(registry, "Migration")
        assert registry.condition("Available")[0] == "True" and registry.child("deployment", "core")["spec"]["replicas"] == 1
        assert runs(registry) == OLD and state(cell, registry)["step"] == "Settled" and dumps(cell, registry) == []
    told(registry, "Migration", "False", "RolledBack")  # it went on by itself, when the images came: none migrates here


def test_hop_is_withdrawn_while_it_pulls(cell, registry):
    with held_nodes(cell):
        registry.spec(version="2.15")
        lose_image(cell, registry, "images")
        registry.spec(version="2.14")
        ready(registry)
        eventually(lambda: not [pod for pod in registry.pods() if pod["metadata"]["labels"]["app.kubernetes.io/component"] == "images"],
                   what="the garbage collector took the Job's pods")
    assert registry.condition("Migration") is None and "HopBegan" not in registry.events()


def test_job_of_the_images_that_is_going_is_made_anew(cell, registry):
    """Asked for, taken back, and asked for once more before the first Job is gone."""
    def images():
        return [item for item in cell.cluster.list("jobs", registry.namespace)
                if item["metadata"]["labels"]["app.kubernetes.io/component"] == "images"]

    with held_nodes(cell):
        registry.spec(version="2.15")
        first = eventually(images, 60, what="the Job of the images")[0]["metadata"]
        cell.patch("job", first["name"], {"metadata": {"finalizers": ["test.flotilla.dev/held"]}}, registry.namespace)
        registry.spec(version="2.14")
        eventually(lambda: "deletionTimestamp" in images()[0]["metadata"], 60, what="it is going")
        registry.spec(version="2.15")
        told(registry, "Migration", "Unknown", "PullingImages")
        assert registry.condition("Available")[0] == "True" and state(cell, registry)["step"] == "Settled"
        assert [item["metadata"]["uid"] for item in images()] == [first["uid"]]
        cell.patch("job", first["name"], {"metadata": {"finalizers": None}}, registry.namespace)
        eventually(lambda: images() and images()[0]["metadata"]["uid"] != first["uid"], 60, what="another Job")
    told(registry, "Migration", "False", "RolledBack")  # none migrates here


def test_hop_goes_back_when_no_pod_of_the_migration_is_left(cell, registry):
    """The server itself is asked, and not for what has ended: of that there may be any number."""
    with held_migration(cell, registry, lambda: registry.spec(version="2.15")):
        for name in ("ended", "straggler"):
            pin(cell, registry, name, "migration")
        cell.stack.kubectl("patch", "pod", "ended", "-n", registry.namespace, "--subresource=status", "--type=merge",
                           "-p", json.dumps({"status": {"phase": "Failed"}}))
        lose_image(cell, registry, "migration")
        told(registry, "Migration", "False", "Abandoning")
        eventually(lambda: "pod straggler has not ended" in message(registry, "Migration"), 60, what="it is waited for")
        assert state(cell, registry)["step"] == "Abandoning"
        unpin(cell, registry, "straggler")
        eventually(lambda: state(cell, registry)["step"] == "Returning", 60, what="no pod is left")
    told(registry, "Migration", "False", "RolledBack")
    asked = pod_lists(registry)
    assert asked and all("fieldSelector=status.phase!=Succeeded,status.phase!=Failed" in uri for uri in asked), asked
    assert row_is_there(registry) and schema(cell, registry) == [(SCHEMAS[OLD], False)]


def test_hop_goes_back_when_the_migration_has_no_image(cell, registry):
    with held_migration(cell, registry, lambda: registry.spec(version="2.15")):
        image = lose_image(cell, registry, "migration")
        eventually(lambda: state(cell, registry)["step"] == "Returning", 60, what="it waited long enough")
    told(registry, "Migration", "False", "RolledBack")
    assert f"image {image} cannot be pulled" in message(registry, "Stalled") and row_is_there(registry)
    assert registry.told("MigrationAbandoned") and "MigrationFailed" not in registry.events(), "nothing was restored"
    assert runs(registry) == OLD and schema(cell, registry) == [(SCHEMAS[OLD], False)] and databases(cell, registry) == [f"t_{registry.id}"]


def test_migration_whose_image_came_after_all_goes_on(cell, registry):
    """As an operator finds it that comes after one which died when it had given the image up."""
    with held_migration(cell, registry, lambda: registry.spec(version="2.15")):
        before = job_of(registry)
        given_up = json.dumps({**state(cell, registry), "step": "Abandoning", "why": "image core cannot be pulled"})
        cell.patch("secret", f"registry-{registry.id}", {"metadata": {"annotations": {"hop.flotilla.dev/state": given_up}}},
                   "flotilla-system")
        cell.patch("registry", registry.name, {"metadata": {"annotations": {"look": "again"}}}, registry.namespace)
        eventually(lambda: state(cell, registry)["step"] == "Migrating", 60, what="it goes on")
        assert "why" not in state(cell, registry) and kept_job(registry, before)
        set_schema(cell, registry, SCHEMAS[NEW])
    ready(registry)
    assert runs(registry) == NEW and row_is_there(registry)


def test_migration_that_began_all_the_same_is_restored(cell, registry):
    with held_migration(cell, registry, lambda: registry.spec(version="2.15")):
        set_schema(cell, registry, 175, dirty=True)  # by a pod before this one
        lose_image(cell, registry, "migration")
        eventually(lambda: state(cell, registry)["step"] == "Returning", 90, what="it waited long enough")
    told(registry, "Migration", "False", "RolledBack")
    assert registry.told("MigrationAbandoned", "MigrationFailed") and row_is_there(registry)
    assert schema(cell, registry) == [(SCHEMAS[OLD], False)]
