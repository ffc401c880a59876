"""The table of good and bad objects through the real API server. tests/unit/api/test_registry.c runs the same one
through the C checks: what one takes, the other must take."""

import json

import pytest
from harness.crd_inputs import BAD, TABLE, built

CREATE = ("create", "--validate=strict", "-f", "-")
REPLACE = ("replace", "--validate=strict", "-f", "-")


def send(stack, how, item, *more):
    return stack.kubectl(*how, *more, stdin=json.dumps(item), check=False)


def test_server_agrees_with_the_table(stack):
    """One by one; updates really update an object, which is removed again. No operator runs on it meanwhile."""
    wrong = []
    for number, case in enumerate(TABLE["cases"]):
        item = built(case["base"], case.get("set"))
        where = (item["kind"], item["metadata"]["name"], *(("-n", item["metadata"]["namespace"]) if "namespace" in item["metadata"] else ()))
        if "old" in case:
            before = built(case["base"], case["old"])
            made = send(stack, CREATE, before, "-o", "json")
            assert made.returncode == 0, f"case {number}: {made.stderr}"
            item["metadata"]["resourceVersion"] = json.loads(made.stdout)["metadata"]["resourceVersion"]
            done = send(stack, REPLACE, item)
            stack.kubectl("delete", *where, "--wait=false")
            stack.kubectl("patch", *where, "--type=merge", "-p", '{"metadata":{"finalizers":null}}', check=False)
        else:
            done = send(stack, CREATE, item, "--dry-run=server")
        if (done.returncode == 0) != case["valid"]:
            wrong.append(f"case {number} {case}: {done.returncode} {done.stderr.strip()}")
    assert not wrong, "\n".join(wrong)
    assert len(BAD) >= 40


@pytest.mark.parametrize("plural", ["registries", "backendpools", "backendclaims", "registryidentities"])
def test_crd_is_established_and_in_the_category(stack, plural):
    crd = stack.get("crd", f"{plural}.registry.flotilla.dev")
    conditions = {c["type"]: c["status"] for c in crd["status"]["conditions"]}
    assert conditions["Established"] == "True" and conditions["NamesAccepted"] == "True"
    assert conditions.get("NonStructuralSchema") != "True"
    assert crd["spec"]["names"]["categories"] == ["flotilla"] and crd["spec"]["names"]["shortNames"]
