"""The fleet layer on a real API server, without server and operators: publish, drift, purge, collect."""

import json

import pytest
from harness.wait import eventually
from kube import fleet_rows
from kube.fleet_rows import Row

LEASES = {"FLOTILLA_LEASE_DURATION_MS": 2000, "FLOTILLA_LEASE_RENEW_MS": 500, "FLOTILLA_LEASE_DEADLINE_MS": 1200,
          "FLOTILLA_POLL_INTERVAL_MS": 50}


@pytest.fixture
def env(stack, fleet_db, tmp_path):
    fleet_rows.cell(fleet_db)
    return {**fleet_db.env(), **stack.cell_env(tmp_path, fleet_rows.CELL), **LEASES, "FLOTILLA_LOG": "debug"}


@pytest.fixture
def make(stack, fleet_db):
    """make(name): a new registry's row, as serve leaves it."""
    tenant = fleet_rows.tenant(fleet_db)
    made = []

    def create(name):
        made.append(Row(fleet_db, stack, tenant, name))
        return made[-1]

    yield create
    for row in made:  # no later test shall find its rows as work
        fleet_db.query("DELETE FROM outbox WHERE resource_id = %s", row.id)
        fleet_db.query("UPDATE resource SET state = 'diverged' WHERE id = %s", row.id)


@pytest.fixture
def fleet(flotillad, env):
    process = flotillad(["fleet"], env)
    process.wait_log(lambda line: line.get("msg", "").startswith("ready"))
    return process


def published(row):
    assert eventually(lambda: row.revision() == row.get("generation") and not row.waits(), 15)


def settled(row, generation):
    """Published and, as far as an operator goes, done."""
    eventually(lambda: row.revision() == generation, 15)
    row.operate()
    eventually(lambda: row.status("observed_generation") == generation, 15)


def test_publish_places_fences_and_collects(fleet, make):
    row = make("walk")
    published(row)
    placement = row.get("placement")
    assert placement["cell"] == fleet_rows.CELL and placement["considered"][0]["score"] > 0
    labels = json.loads(row.stack.kubectl("get", "namespace", row.namespace, "-o", "json"))["metadata"]["labels"]
    assert labels["flotilla.dev/managed"] == "true" and labels["flotilla.dev/registry-id"] == row.id
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    live = row.live()
    assert live["spec"] == {"revision": 1, "identity": row.identity, "version": "2.15", "size": "S",
                            "host": "walk.example.org", "lifecycle": "Active", "deletionPolicy": "Retain"}
    assert live["metadata"]["labels"]["flotilla.dev/fleet"] == "true"
    assert row.last_operation() == "running"
    row.operate()
    eventually(lambda: row.last_operation() == "succeeded")
    assert row.status("phase") == "ready" and row.status("health") == "healthy"


def test_changes_that_wait_are_published_once(flotillad, env, make, fleet):
    row = make("coalesce")
    published(row)
    before = row.live()["metadata"]["generation"]
    fleet.stop()
    for plan in ("m", "l", "m"):
        row.resize(plan)
    flotillad(["fleet"], env)
    published(row)
    live = row.live()
    assert (live["spec"]["revision"], live["spec"]["size"]) == (4, "M")
    assert live["metadata"]["generation"] == before + 1


def test_close_is_published_collected_and_undone(fleet, make):
    row = make("close")
    settled(row, 1)
    generation = row.close()
    published(row)
    assert row.live()["spec"]["lifecycle"] == "Closed" and row.live()["spec"]["purgeAfter"]
    row.operate("Closed", "True")
    eventually(lambda: row.last_operation() == "succeeded")
    assert row.status("phase") == "closed"
    row.change("undo", "lifecycle = 'active', purge_after = NULL")
    published(row)
    assert "purgeAfter" not in row.live()["spec"] and row.revision() == generation + 1


def test_version_that_runs_is_collected(fleet, make):
    row = make("version")
    published(row)
    assert row.status("version") is None
    row.patch({"status": {"version": "2.14.4"}}, "--subresource=status")
    eventually(lambda: row.status("version") == "2.14.4")


def test_what_is_stored_is_collected(fleet, make):
    row = make("usage")
    published(row)
    row.operate()
    eventually(lambda: row.status("phase") == "ready")
    assert row.status("usage") is None
    told = {"storageBytes": 5 << 30, "limitBytes": 100 << 30, "observedAt": "2026-11-28T10:00:00Z"}
    row.patch({"status": {"usage": told}}, "--subresource=status")
    eventually(lambda: row.status("usage") == told)
    row.patch({"status": {"usage": None}}, "--subresource=status")
    row.operate("Closed", "False")
    eventually(lambda: row.status("phase") != "ready")
    assert row.status("usage") == told, "the last that is known"


def test_an_edit_by_hand_is_reverted_with_an_event(fleet, make):
    row = make("drift")
    settled(row, 1)
    row.patch({"spec": {"size": "L"}})
    eventually(lambda: row.live()["spec"]["size"] == "S")

    def events():  # told when it is done
        return [e["reason"] for e in json.loads(row.kubectl("get", "events.events.k8s.io", "-o", "json"))["items"]]

    eventually(lambda: events() == ["DriftReverted"], what="one event")
    row.patch({"spec": {"purgeAfter": "2099-01-01T00:00:00Z", "storageBytes": 1 << 50}})
    eventually(lambda: not {"purgeAfter", "storageBytes"} & set(row.live()["spec"]))
    assert row.get("generation") == 1


def test_a_revision_raised_by_hand_lifts_the_row_over_it(fleet, make):
    row = make("raised")
    settled(row, 1)
    row.patch({"spec": {"revision": 41, "size": "L"}})
    eventually(lambda: row.revision() == 42)
    assert row.get("generation") == 42 and row.live()["spec"]["size"] == "S"
    assert row.get("state") == "normal"


def test_the_api_server_refuses_an_older_revision(fleet, make):
    row = make("cel")
    published(row)
    row.resize("m")
    published(row)
    stale = {"apiVersion": "registry.flotilla.dev/v1alpha1", "kind": "Registry",
             "metadata": {"name": row.name}, "spec": {"revision": 1, "host": "x.example.org"}}
    done = row.kubectl("apply", "--server-side", "--force-conflicts", "--field-manager", "flotilla-fleet", "-f", "-",
                       stdin=json.dumps(stale), kubeconfig="fleet", check=False)
    assert done.returncode != 0 and "revision must not go back" in done.stderr


def test_purge_removes_in_order(fleet, make):
    row = make("purge")
    settled(row, 1)
    row.patch({"metadata": {"finalizers": ["flotilla.dev/test"]}})
    row.hold_identity()
    row.close("1 second")
    eventually(lambda: row.revision() == 2)
    row.operate("Closed", "True")
    eventually(lambda: row.live()["metadata"].get("deletionTimestamp"), 15)
    assert row.get("purge_started_at") and not row.get("deleted_at") and row.has_namespace()
    row.hold_identity("Purging")
    row.drop_identity()
    assert not row.get("deleted_at")
    row.patch({"metadata": {"finalizers": None}})
    eventually(lambda: row.get("deleted_at") and not row.has_namespace() and not row.waits(), 15)
    assert row.status("phase") is None and row.last_operation() == "succeeded"


def test_purge_waits_for_an_operator(fleet, make):
    row = make("unseen")
    settled(row, 1)
    row.close("1 second")
    eventually(lambda: "PurgeWaits" in (row.db.query(
        "SELECT last_error FROM outbox WHERE resource_id = %s", row.id) or [["-"]])[0][0], 15)
    assert not row.get("purge_started_at") and not row.live()["metadata"].get("deletionTimestamp")


def test_a_resource_deleted_by_hand_comes_back(fleet, make):
    row = make("back")
    settled(row, 1)
    row.hold_identity("Retained")
    uid = row.live()["metadata"]["uid"]
    row.kubectl("delete", "registry", row.name)
    eventually(lambda: row.live() and row.live()["metadata"]["uid"] != uid)
    assert row.get("generation") == 1
    row.drop_identity()


def test_a_resource_left_by_a_tombstone_is_deleted(fleet, make):
    row = make("left")
    settled(row, 1)
    row.db.query("UPDATE resource SET lifecycle = 'closed', purge_after = now(), purge_started_at = now(),"
                 " deleted_at = now() WHERE id = %s", row.id)
    row.operate("Progressing", "False")  # any event
    eventually(lambda: not row.live() and not row.has_namespace(), 15)


def test_without_the_label_nobody_touches_it(fleet, make):
    row = make("mine")
    settled(row, 1)
    row.kubectl("label", "registry", row.name, "flotilla.dev/fleet-")
    row.resize("l")
    eventually(lambda: "NotOurs" in (row.db.query(
        "SELECT last_error FROM outbox WHERE resource_id = %s AND last_error IS NOT NULL", row.id) or [["-"]])[0][0])
    assert row.live()["spec"]["size"] == "S"


def test_the_last_place_of_a_cell_is_given_once(flotillad, fleet_db, make, env):
    """Many workers of two processes choose at the same time."""
    used = fleet_db.value("SELECT count(*) FROM resource WHERE cell = %s AND deleted_at IS NULL", fleet_rows.CELL)
    fleet_db.query("UPDATE cell SET capacity = %s WHERE name = %s", used + 1, fleet_rows.CELL)
    try:
        rows = [make(f"last-{number}") for number in range(8)]
        for _ in range(2):
            flotillad(["fleet"], {**env, "FLOTILLA_WORKERS": "8"})
        eventually(lambda: all(row.get("cell") or "NoCell" in (row.get_outbox("last_error") or "") for row in rows), 20)
        assert len([row for row in rows if row.get("cell")]) == 1
    finally:
        fleet_db.query("UPDATE cell SET capacity = 1000 WHERE name = %s", fleet_rows.CELL)


def test_who_leaves_gives_its_leases_back(flotillad, fleet_db, make, env):
    """With Leases of a minute, the next process collects at once."""
    long = {**env, "FLOTILLA_LEASE_DURATION_MS": "60000", "FLOTILLA_LEASE_RENEW_MS": "500"}
    for name in ("first", "second"):
        process = flotillad(["fleet"], long)
        row = make(f"{name}-collector")
        published(row)
        settled(row, 1)
        process.stop()
        assert fleet_db.value("SELECT until <= clock_timestamp() FROM cell_lease WHERE cell = %s", fleet_rows.CELL)
        assert not fleet_db.query("SELECT 1 FROM outbox WHERE lease_owner IS NOT NULL")
