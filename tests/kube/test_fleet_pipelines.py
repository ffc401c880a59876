"""Pipelines of the fleet on a real API server, without serve and operators: which cell, what is told of them, an old role."""

import json

import pytest
from harness.cluster import Cluster
from harness.wait import eventually
from kube import fleet_rows
from kube.fleet_rows import Row

QUICK = {"FLOTILLA_LEASE_DURATION_MS": 2000, "FLOTILLA_LEASE_RENEW_MS": 500, "FLOTILLA_LEASE_DEADLINE_MS": 1200,
         "FLOTILLA_POLL_INTERVAL_MS": 50, "FLOTILLA_LOG": "debug"}
STAGE = {"name": "only", "class": "blue", "reason": "Placed", "documentsPerSecond": 10, "missing": 0, "reserved": 0, "podsToCome": 0}
WAITING = {"stage": "only", "need": 10, "free": 2, "pods": 1, "since": "2026-01-01T00:00:00Z", "attempts": 0}


class Line(Row):
    """A pipeline's row, in a cell or yet to be placed."""

    def __init__(self, db, stack, tenant, name, cell=None):
        self.db, self.stack, self.tenant, self.name = db, stack, tenant, name
        self.cluster = Cluster(stack)
        self.id = "pl_" + fleet_rows.letters(26)
        self.namespace = "tn-" + tenant[3:]
        spec = {"documentsPerSecond": 10, "priority": 0, "workers": {"only": {"class": "blue"}}}
        db.query("WITH made AS (INSERT INTO resource (id, tenant_id, name, spec, namespace, cell)"
                 " VALUES (%s, %s, %s, %s, %s, %s) RETURNING id, tenant_id)"
                 " INSERT INTO resource_status (resource_id, tenant_id) SELECT id, tenant_id FROM made",
                 self.id, tenant, name, json.dumps(spec), self.namespace, cell)
        self.operation("create", 1)

    def live(self):
        return self.cluster.get("pipelines", self.name, self.namespace)

    def tell(self, **status):
        ready = {"type": "Ready", "status": "True", "reason": "Routed", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        self.kubectl("patch", "pipeline", self.name, "--type=merge", "--subresource=status", "-p", json.dumps(
            {"status": {"observedRevision": 1, "phase": "Ready", "conditions": [ready], **status}}))

    def told(self):
        return self.db.query("SELECT stages, stages_cut, waiting FROM resource_status WHERE resource_id = %s", self.id)[0]


@pytest.fixture
def env(stack, fleet_db, tmp_path):
    fleet_rows.cell(fleet_db)
    return {**fleet_db.env(), **stack.cell_env(tmp_path, fleet_rows.CELL), **QUICK}


@pytest.fixture
def start(flotillad, env):
    def started():
        process = flotillad(["fleet"], env)
        process.wait_log(lambda line: line.get("msg", "").startswith("ready"))
        return process

    return started


@pytest.fixture
def make(stack, fleet_db):
    """make(name, tenant, ...): a new row of a kind; no later test shall find it as work."""
    made = []

    def create(name, tenant, kind=Line, **more):
        made.append(kind(fleet_db, stack, tenant, name, **more))
        return made[-1]

    yield create
    for row in made:
        fleet_db.query("DELETE FROM outbox WHERE resource_id = %s", row.id)
        fleet_db.query("UPDATE resource SET state = 'diverged' WHERE id = %s", row.id)


def pods(count, name="blue"):
    return [{"ordinal": at, "name": f"{name}-{at}", "milliDocumentsPerSecond": 1250, "serves": True} for at in range(count)]


def published(row):
    row.enqueue()
    eventually(lambda: row.revision() == 1 and not row.waits(), 15, what=f"{row.name} published")


def test_what_a_cell_explains_is_collected(start, fleet_db, make):
    start()
    row = make("told", fleet_rows.tenant(fleet_db))
    published(row)
    assert row.told() == (None, None, None)
    stages = [{**STAGE, "podCount": 8, "pods": pods(8)}]
    row.tell(stages=stages, waiting=WAITING)
    eventually(lambda: row.told() == (stages, None, WAITING), 15)
    many = [{**STAGE, "name": f"s{at}", "podCount": 64, "pods": pods(8, "b" * 100)} for at in range(32)]
    row.tell(stages=many, waiting=None)
    eventually(lambda: row.told()[1:] == ("PodsLeftOut", None), 15)
    kept = row.told()[0]
    assert [stage["name"] for stage in kept] == [stage["name"] for stage in many]
    assert {(stage["podCount"], len(stage["pods"])) for stage in kept} == {(64, 2)}
    assert len(json.dumps(kept, separators=(",", ":"))) <= 16 << 10
    row.tell(stages=None)
    eventually(lambda: row.told() == (None, None, None), 15)


def test_a_tenant_in_two_cells_goes_on_in_one_of_them(start, env, fleet_db, make):
    for name, capacity in (("two", 10), ("three", 1000)):
        fleet_rows.cell(fleet_db, name, f"{fleet_rows.CELL}.kubeconfig", capacity)
    try:
        tenant = fleet_rows.tenant(fleet_db)
        make("one", tenant, cell=fleet_rows.CELL)
        make("other", tenant, cell="two")
        start()
        row = make("next", tenant)
        published(row)
        assert row.get("cell") == fleet_rows.CELL, "of the two the one with more room"
        assert {seen["cell"]: seen.get("why_not") for seen in row.get("placement")["considered"]} == {
            fleet_rows.CELL: None, "two": None, "three": "TenantElsewhere"}
        fleet_db.query("UPDATE cell SET state = 'cordoned' WHERE name = %s", fleet_rows.CELL)
        after = make("after", tenant)
        published(after)
        assert after.get("cell") == "two"
        fleet_db.query("UPDATE cell SET state = 'cordoned' WHERE name = 'two'")
        stays = make("stays", tenant)
        stays.enqueue()
        eventually(lambda: "the cell of the tenant's other pipelines is full" in (stays.get_outbox("last_error") or ""), 15)
        assert stays.get("cell") is None
    finally:
        fleet_db.query("UPDATE cell SET state = 'open' WHERE name = %s", fleet_rows.CELL)
        fleet_db.query("UPDATE cell SET state = 'cordoned' WHERE name <> %s", fleet_rows.CELL)


def test_a_role_from_before_there_were_pipelines(start, stack, fleet_db, make):
    """Registries are collected; of pipelines nothing is said, until they may be read."""
    tenant = fleet_rows.tenant(fleet_db)
    line = make("line", tenant)
    first = start()
    published(line)
    line.tell(stages=[{**STAGE, "podCount": 1, "pods": pods(1)}])
    eventually(lambda: line.status("phase") == "ready", 15)
    first.stop()

    role = json.loads(stack.kubectl("get", "clusterrole", "flotilla-fleet", "-o", "json"))
    old = {**role, "rules": [rule for rule in role["rules"] if "pipelines" not in rule["resources"]]}
    assert len(old["rules"]) == len(role["rules"]) - 1
    replace = ("replace", "-f", "-")
    stack.kubectl(*replace, stdin=json.dumps({**old, "metadata": {"name": "flotilla-fleet"}}))
    try:
        eventually(lambda: stack.kubectl("get", "pipelines.scheduling.k8s.xxii.io", "-A", kubeconfig="fleet", check=False).returncode,
                   what="the API server knows the role")
        fleet = start()
        fleet.wait_log(lambda entry: "cannot watch pipelines" in entry.get("msg", ""))
        registry = make("beside", tenant, kind=Row)
        eventually(lambda: registry.revision() == 1 and not registry.waits(), 15)
        registry.operate()
        eventually(lambda: registry.status("phase") == "ready", 15)
        before = line.told()
        assert (line.status("phase"), line.status("reason")) == ("ready", "Routed") and before[0], "not Missing"
        line.tell(stages=[{**STAGE, "podCount": 2, "pods": pods(2)}])
    finally:
        stack.kubectl(*replace, stdin=json.dumps({**role, "metadata": {"name": "flotilla-fleet"}}))
    eventually(lambda: line.told()[0][0]["podCount"] == 2, 75, what="the pipeline is collected again")
    row_errors = [entry for entry in fleet.logs if entry.get("msg", "").startswith("collect:")]
    assert not row_errors
