"""The fleet layer when the world is not as it should be: restored databases, two brains, dead cells."""

import json
import subprocess
import time
from pathlib import Path

import pytest
from harness.process import base_env, binary
from harness.quiet import REPORT_S
from harness.wait import eventually
from harness.world import registry_of
from kube import fleet_rows
from kube.fleet_rows import Row
from kube.test_fleet import LEASES, env, fleet, make, published, settled  # noqa: F401  pylint: disable=unused-import


@pytest.fixture
def run(flotillad, env):
    """run("audit", …): a short command; (status, findings by registry id)."""

    def start(*args):
        process = flotillad(args, env)
        status = process.wait()
        found = {}
        for line in process.stdout:
            if line.startswith("{"):
                finding = json.loads(line)
                found[registry_of(finding)] = finding["finding"]
        return status, found

    return start


def forget(row):
    """The database is restored to a time before the row was made."""
    for table, column in (("outbox", "resource_id"), ("resource_status", "resource_id"), ("operation", "resource_id"),
                          ("resource", "id")):
        row.db.query(f"DELETE FROM {table} WHERE {column} = %s", row.id)


def restore(row, generation, size="s"):
    """The database is restored to a time when the row had this generation."""
    row.db.query("UPDATE resource SET generation = %s, published = least(published, %s),"
                 " spec = jsonb_set(spec, '{plan}', to_jsonb(%s::text)) WHERE id = %s", generation, generation, size, row.id)


def test_a_row_behind_its_resource_diverges_until_resolved(fleet, make, run):
    row, other = make("behind"), make("behind-too")
    for each in (row, other):
        settled(each, 1)
        each.resize("m")
        settled(each, 2)
        before = each.live()
        restore(each, 1)
        each.enqueue()
        eventually(lambda: each.get("state") == "diverged" and not each.waits())
        after = each.live()
        assert after["metadata"]["generation"] == before["metadata"]["generation"]
    status, found = run("audit")
    assert status == 3 and found[row.id] == found[other.id] == "Diverged"
    assert run("audit", "--resolve", row.id, "--take", "row")[0] == 0
    eventually(lambda: row.revision() == 3 and row.live()["spec"]["size"] == "S")
    assert run("audit", "--resolve", other.id, "--take", "cluster")[0] == 0
    eventually(lambda: not other.waits())
    assert other.get("generation") == 2 and other.get("spec")["plan"] == "m" and other.revision() == 2
    _, found = run("audit")
    assert row.id not in found and other.id not in found


@pytest.mark.parametrize("given", [("--kubeconfig", "/nowhere"), ("--database-fleet", "host=/nowhere"), ("--cells-dir", "/nowhere")])
def test_a_resolution_without_the_fleet_is_refused(tmp_path, given):
    """Rather than done to the database that libpq takes when none is named."""
    done = subprocess.run([binary(), "audit", "--resolve", "c1", "--take", "row", *given, "--kubeconfig", "/nowhere"],
                          env=base_env(tmp_path), capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (2, "audit: --resolve needs --database-fleet and --cells-dir\n")


def test_the_same_number_from_another_history_diverges(flotillad, env, fleet, make):
    row = make("twin")
    settled(row, 1)
    row.resize("m")
    settled(row, 2)
    fleet.stop()
    restore(row, 1)
    row.resize("l")  # generation 2 again, with other content
    flotillad(["fleet"], env)
    eventually(lambda: row.get("state") == "diverged")
    assert row.live()["spec"]["size"] == "M"


@pytest.mark.parametrize("lifecycle", ["active", "closed"])
def test_what_a_later_history_purged_is_not_made_again(fleet, make, run, lifecycle):
    row = make(f"purged-{lifecycle}")
    settled(row, 1)
    row.stack.kubectl("delete", "namespace", row.namespace)
    eventually(lambda: row.get("state") == "diverged", 20)
    time.sleep(1)
    assert not row.has_namespace()
    assert run("audit", "--resolve", row.id, "--take", "row")[0] == 1, "neither id nor namespace is used again"
    assert row.get("state") == "diverged" and not row.has_namespace()
    assert run("audit", "--resolve", row.id, "--take", "cluster")[0] == 0
    eventually(lambda: row.get("deleted_at") and not row.waits())
    assert not row.live()


def test_an_undo_that_the_restored_row_does_not_know_is_not_purged(fleet, make):
    row = make("undone")
    settled(row, 1)
    row.close()
    settled(row, 2)
    row.change("undo", "lifecycle = 'active', purge_after = NULL")
    settled(row, 3)
    restore(row, 2)
    row.db.query("UPDATE resource SET lifecycle = 'closed', purge_after = now() WHERE id = %s", row.id)
    eventually(lambda: row.get("state") == "diverged")
    assert row.live()["spec"]["lifecycle"] == "Active" and not row.get("purge_started_at")


def test_a_revision_without_room_above_is_not_followed(fleet, make):
    row = make("raised-far")
    settled(row, 1)
    row.patch({"spec": {"revision": 9007199254740991}})
    eventually(lambda: row.get("state") == "diverged" and not row.waits())
    assert row.get("generation") == 1


def test_a_resource_without_a_row_is_left_alone_and_can_be_claimed(fleet, make, run):
    row = make("unclaimed")
    settled(row, 1)
    forget(row)
    before = row.live()["metadata"]["resourceVersion"]
    row.operate("Progressing", "False")
    status, found = run("audit")
    assert status == 3 and found[row.id] == "Unclaimed"
    assert row.live() and row.live()["metadata"]["resourceVersion"] != before
    assert run("audit", "--resolve", row.id, "--take", "cluster")[0] == 0
    eventually(lambda: not row.waits())
    assert row.get("tenant_id, name, identity, cell, generation") == (
        row.tenant, row.name, row.identity, fleet_rows.CELL, 1)
    eventually(lambda: row.status("reason") == "Progressing", 20, what="its status, though nothing happens in the cell")
    assert row.id not in run("audit")[1]


def test_a_namespace_left_behind_a_purge_is_found_and_removed(flotillad, env, make, run):
    row = make("fence")
    row.db.query("DELETE FROM outbox WHERE resource_id = %s", row.id)
    row.db.query("UPDATE resource SET cell = %s, lifecycle = 'closed', purge_after = now(), purge_started_at = now(),"
                 " deleted_at = now() WHERE id = %s", fleet_rows.CELL, row.id)
    row.stack.kubectl("create", "namespace", row.namespace)
    row.stack.kubectl("label", "namespace", row.namespace, "flotilla.dev/fleet=true",
                      f"flotilla.dev/registry-id={row.id}")
    assert run("audit")[1][row.id] == "Tombstone"
    flotillad(["fleet"], env)
    eventually(lambda: not row.has_namespace(), 15)


def test_a_stale_collector_changes_nothing(fleet_db, stack, make, env):
    row = make("epoch")
    queries = Path(__file__).parents[2] / "sql/queries"
    lease, collect = ((queries / f"fleet_{name}.sql").read_text() for name in ("lease", "collect"))

    def call(statement, *values):
        for number in range(len(values), 0, -1):
            statement = statement.replace(f"${number}", f"%({number})s")
        with fleet_db.connect("fleet") as connection, connection.cursor() as cursor:
            cursor.execute(statement, {str(n + 1): value for n, value in enumerate(values)})
            return cursor.fetchall()

    def batch(owner, epoch, phase):
        projection = {"id": row.id, "phase": phase, "health": "healthy", "drift": "in_sync", "observed": 1,
                      "reason": "", "message": "", "conditions": [], "hash": phase}
        return call(collect, fleet_rows.CELL, owner, epoch, json.dumps([projection]))[0]

    first = call(lease, '["dev"]', "one", 60000, "true")[0][0]["epoch"]
    assert batch("one", first, "ready") == (1, 1)
    assert batch("one", first, "ready") == (1, 0), "an equal hash is not written"
    assert call(lease, '["dev"]', "two", 60000, "false") == [], "the lease is held"
    second = call(lease, '["dev"]', "two", 60000, "true")[0][0]["epoch"]
    assert second == first + 1
    assert batch("one", first, "error") == (0, 0)
    assert batch("two", second, "closed") == (1, 1)
    assert row.status("phase") == "closed"
    fleet_db.query("UPDATE cell_lease SET until = now() - interval '1 hour'")


def test_two_fleets_without_leases_reach_the_same_end(flotillad, env, make):
    brains = [flotillad(["fleet"], {**env, "FLOTILLA_LEASE_GATE": "off", "FLOTILLA_UNSAFE": "1",
                                    "FLOTILLA_IDENTITY": f"brain-{n}"}) for n in range(2)]
    for brain in brains:
        brain.wait_log(lambda line: line.get("msg", "").startswith("ready"))
    rows = [make(f"twice-{n}") for n in range(8)]
    for plan in ("m", "l"):
        for row in rows:
            row.resize(plan)
    for row in rows:
        settled(row, 3)
        assert row.live()["spec"]["size"] == "L" and row.get("state") == "normal"
    for row in rows:
        row.close("0 seconds")
    for row in rows:
        eventually(lambda: row.revision() == 4, 20)
        row.operate("Closed", "True")
    for row in rows:
        eventually(lambda: row.get("deleted_at") and not row.live() and not row.has_namespace(), 30)
        assert row.get("state") == "normal"
    # what is done is written down a moment after it is seen
    eventually(lambda: not row.db.query("SELECT 1 FROM outbox WHERE resource_id = ANY(%s)", [r.id for r in rows]), 20)


def test_a_dead_cell_delays_no_other(flotillad, env, make, stack, tmp_path):
    config = json.loads(stack.kubectl("config", "view", "--raw", "-o", "json", kubeconfig="fleet"))
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    (tmp_path / "cells/dead.kubeconfig").write_text(json.dumps(config))
    row, lost = make("alive"), [make(f"lost-{n}") for n in range(6)]
    fleet_rows.cell(row.db, "dead", capacity=0)
    for each in lost:
        each.db.query("UPDATE resource SET cell = 'dead' WHERE id = %s", each.id)
    process = flotillad(["fleet"], env)
    published(row)
    eventually(lambda: all(each.db.value("SELECT attempts FROM outbox WHERE resource_id = %s", each.id) > 0
                           for each in lost))
    process.stop()  # while it runs it takes the lease of each cell again
    for each in lost:
        each.db.query("UPDATE resource SET cell = NULL WHERE id = %s", each.id)
    row.db.query("DELETE FROM cell_lease WHERE cell = 'dead'")
    row.db.query("DELETE FROM cell WHERE name = 'dead'")


def test_quiet_means_no_writes(fleet, make):
    row = make("quiet")
    settled(row, 1)
    eventually(lambda: row.last_operation() == "succeeded" and not row.waits())
    changed = ("SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables WHERE relname <> 'cell_lease'")
    time.sleep(REPORT_S)
    before = row.db.value(changed)
    time.sleep(REPORT_S + 4)
    assert row.db.value(changed) == before
