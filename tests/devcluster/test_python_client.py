"""Kubernetes' own Python client, whose lists are typed and whose watches go on where they ended."""

import pathlib
import sys
import threading

import pytest
from kubernetes import client, config, watch

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from objects import configmap, nginx  # noqa: E402

@pytest.fixture(scope="module")
def api(dev):
    return config.new_client_from_config(config_file=str(dev.kubeconfig))


def test_lists_are_typed(api, namespace):
    core = client.CoreV1Api(api)
    core.create_namespaced_config_map(namespace, configmap("one", {"a": "b"}))
    found = core.list_namespaced_config_map(namespace)
    assert [(item.metadata.name, item.data) for item in found.items if item.metadata.name == "one"] == [("one", {"a": "b"})]
    page = core.list_config_map_for_all_namespaces(limit=1)
    assert len(page.items) == 1 and page.metadata._continue  # pylint: disable=protected-access
    with pytest.raises(client.ApiException) as refused:
        core.read_namespaced_config_map("none", namespace)
    assert (refused.value.status, refused.value.reason) == (404, "Not Found")


def test_watches_tell_what_comes_and_end_when_asked(api, namespace):
    core = client.CoreV1Api(api)
    since = core.list_namespaced_config_map(namespace).metadata.resource_version

    def change():
        core.create_namespaced_config_map(namespace, configmap("late", {"a": "b"}))
        core.patch_namespaced_config_map("late", namespace, {"data": {"a": "c"}})
        core.delete_namespaced_config_map("late", namespace)

    changing = threading.Timer(0.2, change)
    changing.start()
    seen = []
    for event in watch.Watch().stream(core.list_namespaced_config_map, namespace, resource_version=since, timeout_seconds=20):
        if event["object"].metadata.name != "late":
            continue  # the control plane's own, which a new namespace may get only now
        seen.append((event["type"], event["object"].data["a"]))
        if event["type"] == "DELETED":
            break
    changing.join()
    assert seen == [("ADDED", "b"), ("MODIFIED", "c"), ("DELETED", "c")]


def test_custom_kinds(api, namespace):
    custom = client.CustomObjectsApi(api)
    made = nginx("web", 2)
    group, version = made["apiVersion"].split("/")
    custom.create_namespaced_custom_object(group, version, namespace, "ovhnginxes", made)
    stream = watch.Watch().stream(custom.list_namespaced_custom_object, group, version, namespace, "ovhnginxes", timeout_seconds=30)
    first = next(iter(stream))
    assert (first["type"], first["object"]["spec"]["replicaCount"]) == ("ADDED", 2)
