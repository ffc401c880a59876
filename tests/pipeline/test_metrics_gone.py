"""The metrics API is registered and nobody serves it: what that holds up in the cluster, and what it does not."""

import json
import time

from harness.front_proxy import GROUP, VERSIONS, Serving, available, installed, port_of
from harness.pipes import Pipes
from harness.wait import eventually

from pipeline.test_metrics_api import running

KINDS = ("pods", "services", "endpointslices", "pipelines", "pipelinebindings", "placementledgers", "workerclasses", "statefulsets")


def is_gathered(cluster):
    """As the API server tells all its groups at once: what it could not ask for is stale, or not there."""
    connection = cluster.connect()
    connection.request("GET", "/apis", headers={"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"})
    groups = json.loads(connection.getresponse().read())["items"]
    connection.close()
    return any(row["freshness"] == "Current" for group in groups if group["metadata"]["name"] == GROUP.rpartition("/")[2]
               for row in group["versions"])


def why_it_waits(pipes):
    """The conditions of the namespace that hold, while it is going."""
    rows = pipes.cluster.get("namespaces", pipes.namespace)["status"].get("conditions", [])
    return {row["reason"]: row["message"] for row in rows if row["status"] == "True"}


def test_a_namespace_is_emptied_and_its_end_waits_until_the_group_goes(stack, tmp_path):
    """All replicas are gone. Nothing that the namespace has is held up; it is there until the APIServices are deleted, as the docs
    say: who cannot ask a group cannot know that it has nothing there."""
    serving = Serving(tmp_path)
    with running(stack, serving, tmp_path) as process, installed(stack, serving, port_of(process)):
        pipes = Pipes(stack, "metrics-gone")
        pipes.worker_class("blue", 1, capacity=30)
        pipes.pipeline("first", 10, ["blue"])
        pipes.wait_ready("first")
        assert process.stop() == 0
        started = time.monotonic()
        for version in VERSIONS:
            poke = {"metadata": {"annotations": {"looked-at": "again"}}}
            stack.kubectl("patch", "apiservice", f"{version}{GROUP.replace('/apis/', '.')}", "--type=merge", "-p", json.dumps(poke))
            eventually(lambda version=version: not available(stack, version), 60, what=f"{version} cannot be asked")
        eventually(lambda: not is_gathered(pipes.cluster), 90, what="the API server knows that it cannot tell what is there")
        print(f"the API server knew it after {time.monotonic() - started:.1f} s")
        pipes.cluster.delete("namespaces", pipes.namespace)
        eventually(lambda: not any(pipes.cluster.list(kind, pipes.namespace) for kind in KINDS), 60, what="all of it is gone")
        told = eventually(lambda: why_it_waits(pipes), 30, what="why it waits")
        assert GROUP.rpartition("/")[2] in told["DiscoveryFailed"], told
    eventually(lambda: pipes.cluster.get("namespaces", pipes.namespace) is None, 90, what="the namespace is gone")
    print(f"all took {time.monotonic() - started:.1f} s")
