"""The table of good and bad objects through the real API server. tests/unit/api/test_registry.c runs the same one
through the C checks: what one takes, the other must take."""

import pytest
from harness.cluster import Cluster
from harness.crd_inputs import BAD, RESOURCES, TABLE, built

STRICT = "fieldValidation=Strict"


def taken(cluster, case):
    """Whether the server takes it, and its answer. Updates really update an object, which is removed again."""
    item, resource = built(case["base"], case.get("set")), RESOURCES[case["base"]]
    name, namespace = item["metadata"]["name"], item["metadata"].get("namespace")
    path = cluster.path(resource, namespace)
    if "old" not in case:
        status, answer = cluster.request("POST", f"{path}?{STRICT}&dryRun=All", item)
        return status < 300, answer
    made = cluster.ok("POST", f"{path}?{STRICT}", built(case["base"], case["old"]))
    item["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"]
    status, answer = cluster.request("PUT", f"{path}/{name}?{STRICT}", item)
    cluster.delete(resource, name, namespace)
    if cluster.get(resource, name, namespace):
        cluster.merge(resource, name, {"metadata": {"finalizers": None}}, namespace)
    return status < 300, answer


def test_server_agrees_with_the_table(stack):
    """One by one. No operator runs on it meanwhile."""
    cluster = Cluster(stack)
    answers = [(case, *taken(cluster, case)) for case in TABLE["cases"]]
    assert [(case, answer) for case, done, answer in answers if done != case["valid"]] == []
    assert len(BAD) >= 40


@pytest.mark.parametrize("plural", ["registries", "backendpools", "backendclaims", "registryidentities"])
def test_crd_is_established_and_in_the_category(stack, plural):
    crd = stack.get("crd", f"{plural}.registry.flotilla.dev")
    conditions = {c["type"]: c["status"] for c in crd["status"]["conditions"]}
    assert conditions["Established"] == "True" and conditions["NamesAccepted"] == "True"
    assert conditions.get("NonStructuralSchema") != "True"
    assert crd["spec"]["names"]["categories"] == ["flotilla"] and crd["spec"]["names"]["shortNames"]
