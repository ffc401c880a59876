"""What clients rely on: versions, fences, pages, watches, finalizers; and that what is not served says so."""

import sys
import pathlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from objects import configmap, configmaps, nginx, nginxes, workload, apps  # noqa: E402

MERGE = "application/merge-patch+json"


def version(item):
    return int(item["metadata"]["resourceVersion"])


def test_clusters_know_nothing_of_each_other(devclusters, namespace):
    one, other = devclusters.clusters
    assert one.port != other.port
    one.ok("POST", configmaps(namespace), configmap("a"))
    assert other.request("GET", configmaps(namespace, "a"))[0] == 404


def test_a_stale_writer_is_refused(dev, namespace):
    made = dev.ok("POST", configmaps(namespace), configmap("a", {"k": "1"}))
    dev.ok("PUT", configmaps(namespace, "a"), {**made, "data": {"k": "2"}})
    status, answer = dev.request("PUT", configmaps(namespace, "a"), {**made, "data": {"k": "3"}})
    assert (status, answer["reason"], answer["kind"]) == (409, "Conflict", "Status")
    status, answer = dev.request("PATCH", configmaps(namespace, "a"), {"metadata": {"uid": "other"}}, MERGE)
    assert (status, answer["details"]["causes"][0]["field"]) == (422, "metadata.uid")
    assert dev.ok("GET", configmaps(namespace, "a"))["data"] == {"k": "2"}


def test_a_name_is_given_once(dev, namespace):
    dev.ok("POST", configmaps(namespace), configmap("a"))
    status, answer = dev.request("POST", configmaps(namespace), configmap("a"))
    assert (status, answer["reason"], answer["message"]) == (409, "AlreadyExists", 'configmaps "a" already exists')
    names = set()
    for _ in range(3):
        item = configmap("x")
        item["metadata"] = {"generateName": "a-"}
        names.add(dev.ok("POST", configmaps(namespace), item)["metadata"]["name"])
    assert len(names) == 3 and all(name.startswith("a-") and len(name) == 7 for name in names)


def test_nothing_is_written_where_nothing_changes(dev, namespace):
    made = dev.ok("POST", configmaps(namespace), configmap("a", {"k": "1"}))
    again = dev.ok("PATCH", configmaps(namespace, "a"), {"data": {"k": "1"}}, MERGE)
    assert version(made) == version(again)
    tried = dev.ok("PATCH", configmaps(namespace, "a"), {"data": {"k": "2"}}, MERGE, dryRun="All")
    assert tried["data"] == {"k": "2"} and dev.ok("GET", configmaps(namespace, "a")) == again


def test_generation_counts_specs_only(dev, namespace):
    dev.ok("POST", nginxes(namespace), nginx("web"))
    labelled = dev.ok("PATCH", nginxes(namespace, "web"), {"metadata": {"labels": {"a": "b"}}}, MERGE)
    assert labelled["metadata"]["generation"] == 1
    status = {"spec": {"port": 9}, "status": {"replicas": 3}}
    told = dev.ok("PATCH", nginxes(namespace, "web") + "/status", status, MERGE)
    assert (told["metadata"]["generation"], told["spec"]["port"], told["status"]["replicas"]) == (1, 80, 3)
    changed = dev.ok("PATCH", nginxes(namespace, "web"), {"spec": {"port": 81}, "status": {"replicas": 4}}, MERGE)
    assert (changed["metadata"]["generation"], changed["status"]["replicas"]) == (2, 3)


def test_finalizers_hold_an_object(dev, namespace):
    dev.ok("POST", configmaps(namespace), configmap("a", finalizers=["example.org/hold"]))
    marked = dev.ok("DELETE", configmaps(namespace, "a"))
    assert marked["metadata"]["deletionTimestamp"]
    assert dev.ok("DELETE", configmaps(namespace, "a"))["metadata"]["uid"] == marked["metadata"]["uid"]
    dev.ok("PATCH", configmaps(namespace, "a"), {"metadata": {"finalizers": None}}, MERGE)
    assert dev.request("GET", configmaps(namespace, "a"))[0] == 404


def test_a_deletion_has_preconditions(dev, namespace):
    made = dev.ok("POST", configmaps(namespace), configmap("a"))
    for key, value in (("uid", "other"), ("resourceVersion", "1")):
        status, answer = dev.request("DELETE", configmaps(namespace, "a"), {"preconditions": {key: value}})
        assert (status, answer["reason"]) == (409, "Conflict")
    gone = dev.ok("DELETE", configmaps(namespace, "a"), {"preconditions": {"uid": made["metadata"]["uid"]}})
    assert (gone["kind"], gone["status"]) == ("Status", "Success")


def test_pages_are_of_one_moment(dev, namespace):
    for number in range(5):
        dev.ok("POST", configmaps(namespace), configmap(f"a-{number}", labels={"odd": str(number % 2)}))
    page = dev.ok("GET", configmaps(namespace), limit=2, labelSelector="odd")
    seen, first = [item["metadata"]["name"] for item in page["items"]], page["metadata"]["resourceVersion"]
    dev.ok("DELETE", configmaps(namespace, "a-4"))
    while token := page["metadata"].get("continue"):
        page = dev.ok("GET", configmaps(namespace), limit=2, labelSelector="odd", **{"continue": token})
        assert page["metadata"]["resourceVersion"] == first
        seen += [item["metadata"]["name"] for item in page["items"]]
    assert seen == [f"a-{number}" for number in range(5)]
    status, answer = dev.request("GET", configmaps(namespace), **{"continue": "9999.1"})
    assert (status, answer["reason"]) == (410, "Expired")


SELECTORS = {
    "app=web": "ab", "app==web,tier=front": "a", "tier!=front": "bc", "app in (web,db)": "abc", "app notin (web)": "c",
    "tier": "a", "!tier": "bc", "app in (web), tier": "a", "": "abc",
}  # fmt: skip


@pytest.mark.parametrize("selector", SELECTORS)
def test_label_selectors(dev, namespace, selector):
    for name, labels in (("a", {"app": "web", "tier": "front"}), ("b", {"app": "web"}), ("c", {"app": "db"})):
        dev.ok("POST", configmaps(namespace), configmap(name, labels=labels))
    found = dev.ok("GET", configmaps(namespace), labelSelector=f"app,{selector}" if selector else "app")
    assert "".join(item["metadata"]["name"] for item in found["items"]) == SELECTORS[selector]


def test_selectors_that_cannot_be_read(dev, namespace):
    for query in ({"labelSelector": "a in b"}, {"labelSelector": "=x"}, {"fieldSelector": "spec.port=1"}):
        status, answer = dev.request("GET", nginxes(namespace), **query)
        assert (status, answer["reason"]) == (400, "BadRequest"), query
    dev.ok("POST", nginxes(namespace), nginx("web"))
    dev.ok("POST", nginxes(namespace), nginx("other"))
    assert len(dev.ok("GET", nginxes(namespace), fieldSelector="metadata.name=web")["items"]) == 1


# ---- watches ----


def test_a_watch_tells_what_its_selector_sees(dev, namespace):
    since = dev.ok("GET", configmaps(namespace))["metadata"]["resourceVersion"]
    path = configmaps(namespace, "a")
    dev.ok("POST", configmaps(namespace), configmap("a", labels={"in": "yes"}))
    dev.ok("PATCH", path, {"data": {"k": "v"}}, MERGE)
    left = dev.ok("PATCH", path, {"metadata": {"labels": {"in": "no"}}}, MERGE)
    dev.ok("PATCH", path, {"metadata": {"labels": {"in": "yes"}}}, MERGE)
    dev.ok("DELETE", path)
    events = list(dev.watch(configmaps(namespace), 1, resourceVersion=since, labelSelector="in=yes"))
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]
    assert version(events[2]["object"]) == version(left) and events[2]["object"]["data"] == {"k": "v"}
    versions = [version(event["object"]) for event in events]
    assert versions == sorted(versions) and len(set(versions)) == 5


def test_a_watch_begins_with_what_is_there_and_says_where_that_ends(dev, namespace):
    for name in "ab":
        dev.ok("POST", configmaps(namespace), configmap(name))
    asked = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    stream = dev.watch(configmaps(namespace), 5, **asked)
    first = [next(stream) for _ in range(4)]
    names = [event["object"]["metadata"].get("name") for event in first]
    assert names[:3] == ["a", "b", "kube-root-ca.crt"] and [event["type"] for event in first] == ["ADDED"] * 3 + ["BOOKMARK"]
    assert first[3]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    dev.ok("POST", configmaps(namespace), configmap("c"))
    assert next(stream)["object"]["metadata"]["name"] == "c"
    stream.close()
    status, answer = dev.request("GET", configmaps(namespace), watch=1, sendInitialEvents="true")
    assert (status, answer["reason"]) == (422, "Invalid")


def told_too_late(dev, since):
    """The one event of a watch from a version that is forgotten; as from the real server, the stream says so."""
    told = list(dev.watch(configmaps("default"), resourceVersion=since))
    assert [event["type"] for event in told] == ["ERROR"]
    return told[0]["object"]


def test_history_that_is_gone_is_410(tmp_path):
    from harness.devcluster import Devclusters

    running = Devclusters(tmp_path, history=5)
    dev = running.clusters[0]
    since = dev.ok("GET", configmaps("default"))["metadata"]["resourceVersion"]
    made = [dev.ok("POST", configmaps("default"), configmap(f"a-{number}")) for number in range(12)]
    status = told_too_late(dev, since)
    assert (status["kind"], status["reason"], status["code"]) == ("Status", "Expired", 410)
    told = dev.watch(configmaps("default"), timeout_s=1, resourceVersion=version(made[6]))
    assert [event["object"]["metadata"]["name"] for event in told] == [f"a-{number}" for number in range(7, 12)]
    told_too_late(dev, version(made[5]))
    status, answer = dev.request("GET", configmaps("default"), resourceVersion="99999999")
    assert (status, answer["details"]["causes"][0]["reason"]) == (504, "ResourceVersionTooLarge")
    assert running.stop() == 0 and not running.sanitizer_reports(), running.sanitizer_reports()


def test_history_has_an_end_in_bytes(tmp_path):
    """Few changes, but large ones: 32 MiB of each kind, however many that are; others keep theirs."""
    from harness.devcluster import Devclusters

    running = Devclusters(tmp_path)
    dev = running.clusters[0]
    other = "/api/v1/namespaces/default/services"
    since = dev.ok("GET", configmaps("default"))["metadata"]["resourceVersion"]
    dev.ok("POST", other, {"metadata": {"name": "x"}, "spec": {"ports": [{"port": 1}]}})
    for number in range(17):
        dev.ok("POST", configmaps("default"), configmap("a", {"k": "x" * (1 << 20)}))
        dev.ok("DELETE", configmaps("default", "a"))
        if number == 14:
            assert next(dev.watch(configmaps("default"), resourceVersion=since))["type"] == "ADDED"
    assert told_too_late(dev, since)["reason"] == "Expired"
    assert next(dev.watch(other, resourceVersion=since))["object"]["metadata"]["name"] == "x"
    assert running.stop() == 0 and not running.sanitizer_reports(), running.sanitizer_reports()


# ---- forms ----


def test_schema_defaults_and_rules_hold(dev, namespace):
    spec = {"host": "a.example.com"}
    item = {"apiVersion": "registry.flotilla.dev/v1alpha1", "kind": "Registry", "metadata": {"name": "acme"}, "spec": spec}
    path = f"/apis/registry.flotilla.dev/v1alpha1/namespaces/{namespace}/registries"
    made = dev.ok("POST", path, {**item, "spec": {**spec, "identity": "abcdefghijklmnop"}})
    assert made["spec"]["version"] == "2.15" and made["spec"]["deletionPolicy"] == "Retain"
    status, answer = dev.request("PATCH", f"{path}/acme", {"spec": {"identity": "bbcdefghijklmnop"}}, MERGE)
    assert status == 422 and answer["details"]["causes"][0]["field"] == "spec.identity"
    status, answer = dev.request("POST", path, {**item, "metadata": {"name": "b"}, "spec": {**spec, "size": "XXL"}})
    assert (status, answer["reason"]) == (422, "Invalid") and "spec.size" in answer["message"]


def test_unknown_fields(dev, namespace):
    item = nginx("web")
    item["spec"]["image"] = "evil"
    status, answer = dev.request("POST", nginxes(namespace), item, fieldValidation="Strict")
    assert status == 400 and answer["message"].endswith('strict decoding error: unknown field "spec.image"')
    assert "image" not in dev.ok("POST", nginxes(namespace), item)["spec"]
    status, answer = dev.apply(nginxes(namespace, "web"), item)
    assert status == 500 and answer["message"].startswith("failed to create typed patch object")


def test_metadata_and_tables(dev, namespace):
    dev.ok("POST", apps(namespace, "deployments"), workload("Deployment", "web", 0))
    asked = {"Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}
    short = dev.ok("GET", apps(namespace, "deployments", "web"), headers=asked)
    assert short["kind"] == "PartialObjectMetadata" and "spec" not in short
    asked = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    table = dev.ok("GET", apps(namespace, "deployments"), headers=asked)
    row = dict(zip([column["name"] for column in table["columnDefinitions"]], table["rows"][0]["cells"]))
    assert row["Name"] == "web" and row["Ready"] == "0/0" and row["Age"].endswith("s")
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


def test_events_have_two_names(dev, namespace):
    event = {"metadata": {"name": "a"}, "regarding": {"kind": "Pod", "name": "p", "namespace": namespace}, "reason": "Why",
             "note": "words", "eventTime": "2026-01-01T00:00:00.000000Z", "type": "Normal"}
    dev.ok("POST", f"/apis/events.k8s.io/v1/namespaces/{namespace}/events", event)
    core = dev.ok("GET", f"/api/v1/namespaces/{namespace}/events", fieldSelector="involvedObject.name=p")["items"][0]
    assert (core["message"], core["involvedObject"]["kind"]) == ("words", "Pod") and "note" not in core


def test_what_is_not_served_names_itself(dev, namespace):
    dev.ok("POST", configmaps(namespace), configmap("a"))
    status, answer = dev.request("GET", configmaps(namespace, "a") + "/log")
    assert (status, answer["kind"], answer["reason"]) == (501, "Status", "NotImplemented")
    assert "configmaps/log" in answer["message"]
    assert dev.request("GET", "/openapi/v2")[0] == 501
    assert dev.request("GET", "/apis/apps/v1/things")[0] == 404
    assert dev.request("POST", configmaps(namespace, "a"), configmap("a"))[0] == 405
    assert dev.request("POST", configmaps(namespace), "k\0", "application/vnd.kubernetes.protobuf")[0] == 415


def test_whoever_asks_may(dev):
    review = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
    answer = dev.ok("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    assert answer["status"] == {"allowed": True}
