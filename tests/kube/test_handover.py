"""The first admin password on its way: sealed row → Secret → kept by the operator (played here) → shredded."""

import json
import signal
import time

import pytest
from harness import canary, database
from harness.wait import eventually
from kube.ordered import SECRET, Shop
from kube.test_fleet import env, fleet, published  # noqa: F401  pylint: disable=unused-import
from kube.test_fleet_safety import forget, run  # noqa: F401  pylint: disable=unused-import


@pytest.fixture
def shop(flotillad, fleet_db, stack, tmp_path, env):  # noqa: F811  pylint: disable=unused-argument
    return Shop(flotillad, fleet_db, stack, tmp_path)


@pytest.fixture
def order(shop, fleet_db):
    """order(name): a registry that a customer ordered."""
    made = []

    def ordered(name):
        made.append(shop.order(name))
        return made[-1]

    yield ordered
    for row in made:  # no later test shall find its rows as work
        fleet_db.query("DELETE FROM outbox WHERE resource_id = %s", row.id)
        fleet_db.query("UPDATE resource SET state = 'diverged' WHERE id = %s", row.id)


def delivered(row):
    row.keep()
    eventually(lambda: row.sealed() == (False, True) and not row.secret(), 40)


def last_error(row):
    found = row.db.query("SELECT last_error FROM outbox WHERE resource_id = %s AND last_error IS NOT NULL", row.id)
    return found[0][0] if found else ""


def test_it_is_there_before_the_registry_and_what_the_customer_was_shown(fleet, order):  # noqa: F811
    row = order("handed")
    published(row)
    secret, live = row.secret(), row.live()
    assert row.handed_over() == row.password and list(secret["data"]) == ["password"]
    assert live["spec"]["adminSecretRef"] == {"name": SECRET}
    assert secret["immutable"] and secret["type"] == "Opaque"
    assert secret["metadata"]["labels"] == live["metadata"]["labels"]
    assert int(secret["metadata"]["resourceVersion"]) < int(live["metadata"]["resourceVersion"])


def test_nothing_is_forgotten_before_the_operator_keeps_it(fleet, order):  # noqa: F811
    row = order("patient")
    published(row)
    row.operate()
    eventually(lambda: row.status("phase") == "ready")
    row.resize("m")
    published(row)
    time.sleep(1)
    assert row.handed_over() == row.password and row.sealed() == (True, False)
    before = row.live()["metadata"]["generation"]
    delivered(row)
    eventually(lambda: not row.waits())
    live = row.live()
    assert live["metadata"]["generation"] == before and live["spec"]["adminSecretRef"] == {"name": SECRET}
    audit = row.db.query("SELECT count(*) FROM audit_event WHERE action = 'secret.shred' AND detail ->> 'registry' = %s", row.id)
    assert audit == [(1,)]
    row.resize("l")
    published(row)
    assert not row.secret() and row.get("state") == "normal"


def test_a_restored_row_is_shredded_again(fleet, order):  # noqa: F811
    row = order("restored")
    published(row)
    copy = row.copy_sealed()
    delivered(row)
    row.restore_sealed(copy)
    row.operate()  # any event
    eventually(lambda: row.sealed() == (False, True) and not row.waits(), 40)
    eventually(lambda: row.secret_verbs() == ["create", "delete"], what="a password that is kept is not handed over again")


def test_a_registry_deleted_by_hand_gets_it_again_while_it_is_here(fleet, order):  # noqa: F811
    row = order("again")
    published(row)
    row.hold_identity("Retained")
    row.kubectl("delete", "secret", SECRET)
    row.kubectl("delete", "registry", row.name)
    eventually(lambda: row.live() and row.handed_over() == row.password, 40)
    delivered(row)
    row.kubectl("delete", "registry", row.name)
    eventually(row.live, 40)
    assert not row.secret() and row.get("state") == "normal"
    row.drop_identity()


@pytest.mark.parametrize("cause", ["change", "restart"])
def test_a_hand_over_that_somebody_removed_comes_back(flotillad, env, fleet, order, cause):  # noqa: F811
    row = order(f"removed-{cause}")
    published(row)
    if cause == "restart":
        fleet.stop()  # first, or it is the old one that brings it back
    row.kubectl("delete", "secret", SECRET)
    if cause == "change":
        row.resize("m")
    else:
        flotillad(["fleet"], env)
    eventually(lambda: row.handed_over() == row.password, 40)


def test_a_strangers_secret_is_left_alone(flotillad, env, order):  # noqa: F811
    row = order("stranger")
    row.stack.kubectl("create", "namespace", row.namespace)
    row.stack.kubectl("label", "namespace", row.namespace, "flotilla.dev/fleet=true", f"flotilla.dev/registry-id={row.id}",
                      f"flotilla.dev/tenant={row.tenant}")
    row.kubectl("create", "secret", "generic", SECRET, "--from-literal=password=mine")
    flotillad(["fleet"], env)
    eventually(lambda: "HandoverNotOurs" in last_error(row), 40)
    assert row.handed_over() == "mine" and not row.live() and row.sealed() == (True, False)
    row.kubectl("delete", "secret", SECRET)
    eventually(lambda: row.live() and row.handed_over() == row.password, 40)


def test_a_purge_shreds_what_was_never_delivered(fleet, order):  # noqa: F811
    row = order("purged")
    published(row)
    row.close("0 seconds")
    eventually(lambda: row.revision() == 2, 40)
    row.operate("Closed", "True")
    eventually(lambda: row.get("deleted_at") and not row.has_namespace() and not row.waits(), 30)
    assert row.sealed() == (False, False)


def test_a_key_that_is_not_there_holds_the_registry_and_nothing_else(flotillad, env, order, tmp_path):  # noqa: F811
    row, keys = order("locked"), tmp_path / "kek"
    keys.write_text("kek-9 " + "B" * 43 + "=\n")
    keys.chmod(0o600)
    without = flotillad(["fleet"], {**env, "FLOTILLA_KEK_FILE": str(keys)})
    eventually(lambda: "KekUnknown" in last_error(row), 40)
    assert not row.live() and not row.secret()
    without.stop()
    flotillad(["fleet"], env)
    eventually(lambda: row.live() and row.handed_over() == row.password, 40)


def test_who_is_late_takes_his_copy_away_again(flotillad, env, order, tmp_path):  # noqa: F811
    marks = tmp_path / "marks"
    marks.mkdir()
    short = {**env, "FLOTILLA_LEASE_DURATION_MS": 1000, "FLOTILLA_LEASE_RENEW_MS": 200, "FLOTILLA_LEASE_DEADLINE_MS": 700}
    other = flotillad(["fleet"], short)
    other.wait_log(lambda line: line.get("msg", "").startswith("ready"), 40)
    other.process.send_signal(signal.SIGSTOP)
    row = order("late")
    late = flotillad(["fleet"], {**short, "FLOTILLA_FAILPOINTS": "fleet.secret.create.before=hang(5000)",
                                 "FLOTILLA_FAILPOINT_DIR": marks})
    fired = marks / "fired.fleet.secret.create.before"
    eventually(fired.exists, 40, 0.01)
    late.process.send_signal(signal.SIGSTOP)  # so that it sleeps until the other one is done, however long that takes
    assert time.time() - fired.stat().st_mtime < 5, "it may have gone on before it was stopped"
    other.process.send_signal(signal.SIGCONT)
    eventually(row.live, 40)
    row.keep()
    eventually(lambda: row.sealed() == (False, True) and not row.secret(), 40)
    before = eventually(lambda: (verbs := row.secret_verbs())[-1:] == ["delete"] and verbs, what="the log has it")
    assert before[0] == "create"
    late.process.send_signal(signal.SIGCONT)

    eventually(lambda: row.secret_verbs()[len(before):] == ["create", "delete"], 40)
    assert not row.secret() and late.process.poll() is None


def test_a_registry_that_is_taken_in_keeps_its_reference(fleet, order, run):  # noqa: F811
    row = order("unclaimed")
    published(row)
    delivered(row)
    row.operate()
    eventually(lambda: row.last_operation() == "succeeded")
    row.db.query("DELETE FROM sealed_secret WHERE owner_id = %s", row.id)
    forget(row)
    assert run("audit", "--resolve", row.id, "--take", "cluster")[0] == 0
    eventually(lambda: not row.waits())
    assert row.sealed() == (False, False) and row.live()["spec"]["adminSecretRef"] == {"name": SECRET}
    events = json.loads(row.kubectl("get", "events.events.k8s.io", "-o", "json"))["items"]
    assert "DriftReverted" not in [event["reason"] for event in events]


def test_the_fleet_reaches_no_other_secret(stack, fleet, order):  # noqa: F811
    row = order("rights")
    published(row)
    stack.kubectl("create", "secret", "generic", "another", "-n", row.namespace, "--from-literal=a=b")
    for args in (("get", "secret", "another"), ("get", "secrets"), ("delete", "secret", "another"),
                 ("patch", "secret", SECRET, "-p", "{}")):
        refused = row.kubectl(*args, kubeconfig="fleet", check=False)
        assert refused.returncode != 0 and "Forbidden" in refused.stderr, args


def test_nobody_tells_it(shop, fleet, order, stack, tmp_path):  # noqa: F811
    """Canaries through logs, metrics, the database, events, status and the API server's audit log."""
    row = order("canary")
    published(row)
    row.operate()
    row.resize("m")
    published(row)
    places = {}

    def look(when):
        database.dump(stack, row.db, tmp_path / "dump", "plain")
        in_cell = [item for item in stack.get("events,registries,configmaps", "-n", row.namespace)["items"]]
        for name, text in {
            "dump": (tmp_path / "dump").read_bytes(), "PostgreSQL's log": stack.log("pg-fleet"),
            "objects": json.dumps(in_cell), "namespace": json.dumps(stack.get("namespace", row.namespace)),
            "API server's audit log": stack.log("audit"), "API server's log": stack.log("kube-apiserver"),
        }.items():
            places[f"{name}, {when}"] = text
        assert row.id.encode() in places[f"dump, {when}"]

    look("before")
    assert row.handed_over() == row.password
    delivered(row)
    look("after")
    for process in (shop.process, fleet):
        places |= canary.files(process.directory)
    assert len(places) >= 14 and canary.hits(row.password, places) == []
