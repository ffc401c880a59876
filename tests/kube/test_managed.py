"""What the operator does in a registry's Harbor: account, storage. The Harbor is tests/backends/harbor_replay.py, a recording."""

import json
import time

import pytest
from harness import canary
from harness.cell import VERIFY_MS
from harness.harbor import ADMIN_PASSWORD, managed
from harness.wait import eventually, rests, within

GIB = 1 << 30
RIGHTS = {"quota/list", "garbage-collection/read", "garbage-collection/list", "garbage-collection/create", "garbage-collection/update",
          "garbage-collection/stop"}  # fmt: skip


@pytest.fixture(scope="module")
def made(stack, tmp_path_factory):
    with managed(stack, tmp_path_factory.mktemp) as found:
        yield found


@pytest.fixture
def cell(made):
    return made[0]


@pytest.fixture
def harbor(made):
    """Without a customer's projects, and with the password that is kept."""
    made[1].control(set={"admin": ADMIN_PASSWORD, "raw": {}, "hangs": []}, projects=[], config={"quota_per_project_enable": True})
    return made[1]


@pytest.fixture
def registry(made, harbor):  # pylint: disable=unused-argument
    made[2].spec(storageBytes=10 * GIB)
    return made[2].wait("True", "Held", "StorageQuota")


def robot(harbor):
    found = harbor.control()["robots"]
    assert len(found) == 1, "one account, whatever happened"
    return found[0]


def limits(harbor):
    return [row["hard"]["storage"] for row in harbor.control()["quotas"].values()]


def refused(harbor):
    return harbor.control()["refused"].count("admin")


def keep(cell, registry, password):
    cell.patch("secret", f"registry-{registry.id}", {"stringData": {"adminPassword": password}}, "flotilla-system")


def message(registry, kind):
    return next(c["message"] for c in registry.get()["status"]["conditions"] if c["type"] == kind)


def looked(harbor, looks=4):
    before = harbor.looks()
    eventually(lambda: harbor.looks() >= before + looks, 30, what=f"{looks} more looks")


def changes(harbor):
    """Each one, also what is sent once more."""
    return [line for line in harbor.control()["seen"] if line.split()[1] != "GET"]


def quiet(registry, harbor):
    before = registry.get()["metadata"]["resourceVersion"]
    looked(harbor)
    return registry.get()["metadata"]["resourceVersion"] == before


def usage(registry):
    return registry.get()["status"]["usage"]


def test_the_account_is_a_robot_whose_secret_was_kept(cell, registry, harbor):
    made = robot(harbor)
    assert made["secret"] == cell.kept(registry.id)["robotSecret"] and set(made["rights"]) == RIGHTS
    assert made["description"].startswith("flotilla:") and made["description"].endswith(f":{registry.id}")
    assert registry.get()["status"]["harbor"]["robot"] == "robot$flotilla-operator"


def test_its_secret_is_nowhere_else(cell, registry, harbor):
    secret = cell.kept(registry.id)["robotSecret"]
    harbor.control(robot={str(robot(harbor)["id"]): {"secret": "Other1secret"}})
    eventually(lambda: robot(harbor)["secret"] == secret, 30, what="it was sent once more")
    places = canary.files(harbor.operator) | {
        what: json.dumps(cell.stack.get(what, "-n", registry.namespace)) for what in ("registries", "events", "configmaps", "secrets")}
    assert len(places) > 4 and not canary.hits(secret, places)


def test_looks_that_find_the_same_write_nothing(registry, harbor):
    eventually(lambda: quiet(registry, harbor), 60, what="it comes to rest")
    before = changes(harbor)
    looked(harbor, 16)  # more often than what holds for projects to come is looked at
    assert changes(harbor) == before


def test_another_limit_holds_for_projects_to_come_at_once(registry, harbor):
    registry.spec(storageBytes=2 * GIB)
    registry.wait("True", "Held", "StorageQuota")
    looked(harbor, 3)  # it is looked at by itself in each twelfth only
    assert 0 < harbor.control()["config"]["storage_per_project"] <= 2 * GIB


@pytest.mark.parametrize("damage", [{"secret": "Other1secret"}, {"disable": True}, {"rights": [["project", "list"]]}, None])
def test_a_refused_account_is_mended(cell, registry, harbor, damage):
    harbor.control(robot={str(robot(harbor)["id"]): damage})

    def mended():
        made = robot(harbor)
        return made["secret"] == cell.kept(registry.id)["robotSecret"] and set(made["rights"]) == RIGHTS and not made["disable"]

    eventually(mended, 30, what="the robot is as it was")
    registry.wait("True", "AccountReady", "Managed")


def test_a_stranger_of_that_name_is_left_alone(registry, harbor):
    number = str(robot(harbor)["id"])
    harbor.control(robot={number: {"description": "mine", "secret": "Other1secret"}})
    registry.wait("False", "RobotTaken", "Managed").wait("True", "ReadyInPart")
    assert robot(harbor)["description"] == "mine" and robot(harbor)["secret"] == "Other1secret"
    harbor.control(robot={number: None})
    registry.wait("True", "AccountReady", "Managed")


def test_pushes_beyond_the_storage_are_refused(registry, harbor):
    harbor.control(projects=[[2 * GIB, -1], [GIB, -1]])
    eventually(lambda: all(0 < limit <= 9 * GIB for limit in limits(harbor)), 30, what="limits")
    assert 0 < harbor.control()["config"]["storage_per_project"] <= 10 * GIB
    harbor.control(push=[1, 8 * GIB])
    assert not harbor.control()["done"]
    harbor.control(push=[1, 6 * GIB])
    assert harbor.control()["done"]
    eventually(lambda: sum(limits(harbor)) <= 12 * GIB, 30, what="limits follow what is stored")
    harbor.control(push=[2, -GIB])
    assert harbor.control()["done"], "deletions are never refused"


def test_who_raises_a_limit_gets_it_back(registry, harbor):
    harbor.control(projects=[[GIB, -1]])
    eventually(lambda: 0 < limits(harbor)[0] <= 10 * GIB, 30)
    harbor.control(projects=[[GIB, 1 << 50]])
    eventually(lambda: 0 < limits(harbor)[0] <= 10 * GIB, 30, what="the limit is set again")
    harbor.control(config={"quota_per_project_enable": False})
    eventually(lambda: harbor.control()["config"]["quota_per_project_enable"], 30, what="quotas are on again")


def test_each_of_many_projects_gets_its_limit(registry, harbor):
    harbor.control(projects=[[1 << 20, -1]] * 120)
    eventually(lambda: all(0 < limit <= 10 * GIB for limit in limits(harbor)), 30, what="limits, fifty at a look")
    registry.wait("True", "Held", "StorageQuota")


def test_a_full_registry_says_so_and_a_larger_plan_ends_it(cell, registry, harbor):
    harbor.control(projects=[[10 * GIB, -1]])
    registry.wait("False", "Reached", "StorageQuota").wait("True", "ReadyInPart")
    harbor.control(push=[1, 1])
    assert not harbor.control()["done"]
    eventually(lambda: "Reached" in registry.events(), 10)
    registry.spec(storageBytes=20 * GIB)
    registry.wait("True", "Held", "StorageQuota")
    harbor.control(push=[1, 9 * GIB])
    assert harbor.control()["done"]
    assert cell.stack.kubectl("get", "reg", "-n", registry.namespace, "-o", "wide").split("\n")[0].count("STORED") == 1
    registry.spec(storageBytes=None)
    eventually(lambda: usage(registry)["limitBytes"] == 100 * GIB, 30, what="what its size allows")


def test_usage_is_told_in_steps(registry, harbor):
    harbor.control(projects=[[GIB, -1]])
    eventually(lambda: usage(registry)["storageBytes"] == GIB, 30)
    assert usage(registry)["limitBytes"] == 10 * GIB
    rests(lambda: registry.get()["metadata"]["resourceVersion"], 1)
    harbor.control(push=[1, 5 << 20])
    assert quiet(registry, harbor), "less than a hundredth of the limit"
    harbor.control(push=[1, 200 << 20])
    eventually(lambda: usage(registry)["storageBytes"] == GIB + (205 << 20), 30)


def test_one_refused_login_is_not_believed(registry, harbor):
    before = refused(harbor)
    harbor.control(set={"admin": "Customers1own"}, projects=[[GIB, -1]])
    registry.wait("Unknown", "LoginUnproved", "StorageQuota")
    assert "of its administrator" in message(registry, "StorageQuota")
    harbor.control(set={"admin": ADMIN_PASSWORD})  # nobody changed it: a stranger's wrong one had locked it
    registry.wait("True", "Held", "StorageQuota")
    assert 0 < limits(harbor)[0] <= 10 * GIB and refused(harbor) - before < 3 and "AdminRefused" not in registry.events()


def test_who_was_refused_is_told(cell, registry, harbor):
    harbor.control(set={"admin": "Customers1own"}, robot={str(robot(harbor)["id"]): {"secret": "Other1secret"}})
    registry.wait("Unknown", "LoginUnproved", "Managed")
    assert "login of the operator's robot" in message(registry, "Managed")
    registry.wait("False", "AccountRefused", "Managed").wait("True", "ReadyInPart")
    assert "of its administrator" in message(registry, "Managed")
    keep(cell, registry, "Customers1own")
    registry.wait("True", "AccountReady", "Managed").wait("True", "Held", "StorageQuota")
    keep(cell, registry, ADMIN_PASSWORD)


def test_a_look_that_fails_is_told(cell, registry, harbor):
    harbor.control(set={"raw": {"/api/v2.0/quotas": [500, ""]}})
    for kind in ("Managed", "StorageQuota", "Collecting"):
        registry.wait("Unknown", "LookFailed", kind)
        assert message(registry, kind).endswith("account: HarborFailed")
    registry.wait("True", "ReadyInPart")
    eventually(lambda: "LookFailed" in registry.events(), 10)
    cell.operator.wait_log(lambda line: "LookFailed: account" in str(line))
    harbor.control(set={"raw": {}})
    registry.wait("True", "AccountReady", "Managed").wait("True", "Held", "StorageQuota").wait("Unknown", "NotYet", "Collecting")


def test_a_harbor_that_hangs_is_left_soon(registry, harbor):
    harbor.control(set={"hangs": ["/api/v2.0/quotas"]})
    within(lambda: registry.condition("Managed") == ("Unknown", "LookFailed"), 30, what="two looks that ended by their timeout of 5 s")
    assert message(registry, "Managed").endswith("account: Timeout")
    harbor.control(set={"hangs": []})
    registry.wait("True", "AccountReady", "Managed")


def test_a_customer_who_changes_the_admin_password_keeps_his_limits(cell, registry, harbor):
    harbor.control(projects=[[GIB, -1]])
    eventually(lambda: 0 < limits(harbor)[0] <= 10 * GIB, 30)
    before = limits(harbor)
    harbor.control(set={"admin": "Customers1own"})
    registry.spec(storageBytes=5 * GIB)
    registry.wait("False", "AdminRefused", "StorageQuota").wait("True", "AccountReady", "Managed").wait("True", "ReadyInPart")
    tries = refused(harbor)
    harbor.control(push=[1, GIB])
    eventually(lambda: usage(registry)["storageBytes"] == 2 * GIB, 30, what="what is stored is told all the same")
    looked(harbor)
    assert limits(harbor) == before and refused(harbor) == tries >= 3, "ever less often: it locks the name"
    keep(cell, registry, "Customers1own")
    registry.wait("True", "Held", "StorageQuota")
    assert limits(harbor)[0] <= 5 * GIB
    keep(cell, registry, ADMIN_PASSWORD)


def test_who_lifts_limits_with_a_password_of_his_own_is_told(cell, registry, harbor):
    harbor.control(projects=[[GIB, -1]])
    eventually(lambda: 0 < limits(harbor)[0] <= 10 * GIB, 30)
    harbor.control(set={"admin": "Customers1own"})
    registry.spec(storageBytes=5 * GIB)
    registry.wait("False", "AdminRefused", "StorageQuota")
    assert "LimitsLifted" not in registry.events()
    harbor.control(projects=[[GIB, 1 << 50]])
    registry.wait("False", "LimitsLifted", "StorageQuota").wait("True", "AccountReady", "Managed")
    eventually(lambda: "LimitsLifted" in registry.events(), 10)
    harbor.control(projects=[[GIB, 2 * GIB]])
    registry.wait("False", "AdminRefused", "StorageQuota")
    keep(cell, registry, "Customers1own")
    registry.wait("True", "Held", "StorageQuota")
    keep(cell, registry, ADMIN_PASSWORD)


def test_a_new_operator_believes_only_what_it_sees(cell, registry, harbor):
    harbor.control(set={"admin": "Customers1own"}, projects=[[GIB, -1]])
    registry.wait("False", "LimitsLifted", "StorageQuota")
    harbor.control(set={"admin": ADMIN_PASSWORD})
    cell.restart_operator()
    registry.wait("True", "Held", "StorageQuota")
    assert 0 < limits(harbor)[0] <= 10 * GIB
    harbor.control(set={"admin": "Customers1own"})
    cell.restart_operator()
    registry.wait("Unknown", "LoginUnproved", "StorageQuota")


def test_a_closed_registry_says_nothing_of_its_harbor(registry, harbor):
    registry.spec(lifecycle="Closed", purgeAfter="2090-01-01T00:00:00Z")
    registry.wait("False", "Closed")
    asked = harbor.control()["seen"]
    types = {row["type"] for row in registry.get()["status"]["conditions"]}
    assert not types & {"Managed", "StorageQuota", "Collecting"} and usage(registry)
    time.sleep(3 * VERIFY_MS / 1000)  # so many passes, and ten times a look's interval
    assert harbor.control()["seen"] == asked
    registry.spec(lifecycle="Active", purgeAfter=None)
    registry.wait("True", "AccountReady", "Managed")
