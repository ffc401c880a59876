"""Server-side apply: who owns what, what is taken, what goes when its owner gives it up."""

import sys
import pathlib

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from objects import apps, configmap, configmaps, nginx, nginxes, workload  # noqa: E402

MERGE = "application/merge-patch+json"


def owners(item):
    return {entry["manager"]: entry["fieldsV1"] for entry in item["metadata"].get("managedFields", [])}


def test_an_owner_gives_up_what_it_does_not_send(dev, namespace):
    path = configmaps(namespace, "a")
    assert dev.apply(path, configmap("a", {"x": "1", "y": "1"}), "one")[0] == 201
    status, item = dev.apply(path, configmap("a", {"y": "1", "z": "1"}), "two")
    assert status == 200 and item["data"] == {"x": "1", "y": "1", "z": "1"}
    status, item = dev.apply(path, configmap("a"), "one")
    assert item["data"] == {"y": "1", "z": "1"}, "x had no other owner, y had one"
    assert owners(item) == {"one": {"f:data": {}}, "two": {"f:data": {"f:y": {}, "f:z": {}}}}


def test_a_conflict_names_field_and_owner(dev, namespace):
    path = configmaps(namespace, "a")
    dev.apply(path, configmap("a", {"x": "1", "y": "1"}), "one")
    status, answer = dev.apply(path, configmap("a", {"x": "2"}), "two")
    assert (status, answer["reason"]) == (409, "Conflict")
    cause = {"reason": "FieldManagerConflict", "field": ".data.x", "message": 'conflict with "one"'}
    assert answer["details"]["causes"] == [cause]
    assert answer["message"] == 'Apply failed with 1 conflict: conflict with "one": .data.x'
    status, item = dev.apply(path, configmap("a", {"x": "2"}), "two", force="true")
    assert item["data"] == {"x": "2", "y": "1"}
    assert owners(item) == {"one": {"f:data": {"f:y": {}}}, "two": {"f:data": {"f:x": {}}}}


def test_an_update_takes_ownership(dev, namespace):
    path = configmaps(namespace, "a")
    dev.apply(path, configmap("a", {"x": "1"}), "one")
    item = dev.ok("PATCH", path, {"data": {"x": "2"}}, MERGE, fieldManager="hand")
    assert owners(item) == {"hand": {"f:data": {"f:x": {}}}}
    assert dev.apply(path, configmap("a", {"x": "1"}), "one")[0] == 409


def test_lists_with_keys_merge_by_item(dev, namespace):
    path = apps(namespace, "deployments", "web")
    dev.apply(path, workload("Deployment", "web", 0), "one")
    more = workload("Deployment", "web", 0)
    del more["spec"]["replicas"], more["spec"]["selector"], more["spec"]["template"]["metadata"]
    more["spec"]["template"]["spec"]["containers"] = [{"name": "side", "image": "side:1", "ports": [{"containerPort": 9}]}]
    status, item = dev.apply(path, more, "two")
    assert status == 200 and [row["name"] for row in item["spec"]["template"]["spec"]["containers"]] == ["c", "side"]
    key = 'k:{"containerPort":9,"protocol":"TCP"}'
    containers = owners(item)["two"]["f:spec"]["f:template"]["f:spec"]["f:containers"]
    assert key in containers['k:{"name":"side"}']["f:ports"]
    more["spec"]["template"]["spec"]["containers"] = []
    status, item = dev.apply(path, more, "two")
    assert [row["name"] for row in item["spec"]["template"]["spec"]["containers"]] == ["c"]


def test_lists_of_our_kinds_merge_as_their_schema_says(dev, namespace):
    def condition(kind, status):
        row = {"type": kind, "status": status, "lastTransitionTime": "2026-01-01T00:00:00Z", "reason": "A", "message": ""}
        item = nginx("web")
        del item["spec"]
        return {**item, "status": {"conditions": [row]}}

    dev.ok("POST", nginxes(namespace), nginx("web"))
    path = nginxes(namespace, "web") + "/status"
    dev.apply(path, condition("Ready", "True"), "one")
    status, item = dev.apply(path, condition("Other", "False"), "two")
    assert status == 200 and [row["type"] for row in item["status"]["conditions"]] == ["Ready", "Other"]


def test_an_apply_that_changes_nothing_writes_nothing(dev, namespace):
    path = nginxes(namespace, "web")
    first = dev.apply(path, nginx("web", 2), "one")[1]
    again = dev.apply(path, nginx("web", 2), "one")[1]
    assert first == again and first["metadata"]["generation"] == 1


def test_the_fences_of_an_operator(dev, namespace):
    """Docs/adr/0002 has the table."""
    path = nginxes(namespace, "web")
    status, made = dev.apply(path, nginx("web", resourceVersion="1"), "one")
    assert status == 201
    assert dev.apply(path, nginx("web", resourceVersion="1"), "one")[0] == 409
    uid, version = made["metadata"]["uid"], made["metadata"]["resourceVersion"]
    assert dev.apply(path, nginx("web", 2, uid=uid, resourceVersion=version), "one")[0] == 200
    assert dev.apply(path, nginx("web", 3, uid=uid, resourceVersion=version), "one")[0] == 409
    status, answer = dev.apply(path, nginx("web", 3, uid="0a"), "one")
    assert status == 422 and answer["details"]["causes"][0]["field"] == "metadata.uid"
    dev.ok("DELETE", path)
    assert dev.apply(path, nginx("web", uid=uid, resourceVersion=version), "one")[0] == 409
