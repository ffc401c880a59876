"""The cluster as watches tell it: a look costs the API server nothing, however often.

What is read here may be some milliseconds behind; who must be sure asks harness.cluster.Cluster again.
"""

import http.client
import json
import threading
import time
import urllib.parse

from .wait import eventually

RESOURCES = ("namespaces", "registries", "backendclaims", "registryidentities", "deployments", "services", "secrets", "pods")


def _key(item):
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


class _Feed(threading.Thread):
    """One resource in all namespaces: listed, then watched; listed anew when the watch ends."""

    def __init__(self, cluster, resource):
        super().__init__(daemon=True)
        self.cluster, self.path = cluster, cluster.path(resource)
        self.items, self.changes, self.stopping = None, 0, False
        self.start()

    def run(self):
        while not self.stopping:
            try:
                self._watch(self._list())
            except (OSError, http.client.HTTPException, AssertionError, ValueError):  # it goes, or has forgotten
                time.sleep(0.2)

    def _list(self):
        answer = self.cluster.ok("GET", self.path)
        self.items = {_key(item): item for item in answer["items"]}
        self.changes += 1
        return answer["metadata"]["resourceVersion"]

    def _watch(self, version):
        connection = self.cluster.connect(timeout=400)
        query = urllib.parse.urlencode({"watch": 1, "resourceVersion": version, "timeoutSeconds": 300})
        try:
            connection.request("GET", f"{self.path}?{query}")
            response = connection.getresponse()
            assert response.status == 200, response.status
            while not self.stopping and (line := response.readline()):
                event = json.loads(line)
                assert event["type"] in ("ADDED", "MODIFIED", "DELETED"), event  # a Status is an ERROR
                items = dict(self.items)  # readers hold the old one
                items.pop(_key(event["object"]), None)
                if event["type"] != "DELETED":
                    items[_key(event["object"])] = event["object"]
                self.items = items
                self.changes += 1
        finally:
            connection.close()


class Watched:
    """Reads like a Cluster. A list is sorted by name."""

    def __init__(self, cluster, more=()):
        self.feeds = {resource: _Feed(cluster, resource) for resource in {*RESOURCES, *more}}
        eventually(lambda: all(feed.items is not None for feed in self.feeds.values()), 30, what="every list is read")

    def get(self, resource, name, namespace=None):
        return self.feeds[resource].items.get((namespace or "", name))

    def list(self, resource, namespace=None, selector=None):
        """`selector`: a label as name=value."""
        label, _, value = (selector or "").partition("=")
        return [item for (home, _), item in sorted(self.feeds[resource].items.items())
                if namespace in (None, home) and (not label or item["metadata"].get("labels", {}).get(label) == value)]

    def changes(self):
        """Equal to an earlier answer when nothing happened since."""
        return sum(feed.changes for feed in self.feeds.values())

    def stop(self):
        for feed in self.feeds.values():
            feed.stopping = True
