"""What happened to the objects of a namespace, each change with its resourceVersion: the order in which the API server
took them. Resources share one store, so their versions are of one count (Kubernetes promises that of each alone)."""

import bisect
import contextlib
import http.client
import json
import threading
import time
import urllib.parse
import zlib

from .wait import eventually, within


PACKED = ("placementledgers",)  # a hundred KiB each, thousands of times


class Change:
    """`item`: as it was from `version` on; of one that went, as it was last. `at`: when the watch told."""

    def __init__(self, resource, event):
        item = event["object"]
        self.resource, self.gone, self.at = resource, event["type"] == "DELETED", time.monotonic()
        self.version, self.name = int(item["metadata"]["resourceVersion"]), item["metadata"]["name"]
        self._kept = zlib.compress(json.dumps(item).encode(), 1) if resource in PACKED else item

    @property
    def item(self):
        return json.loads(zlib.decompress(self._kept)) if isinstance(self._kept, bytes) else self._kept


class _Watch(threading.Thread):
    """One resource, from a listed version on; resumed where it was cut. A gap is an error, never a silence."""

    def __init__(self, history, resource):
        super().__init__(daemon=True)
        self.history, self.resource = history, resource
        self.path = history.cluster.path(resource, history.namespace)
        answer = history.cluster.ok("GET", self.path)
        self.version = answer["metadata"]["resourceVersion"]
        history.began = max(history.began, int(self.version))
        for item in answer["items"]:
            history.add(Change(resource, {"type": "ADDED", "object": item}))
        self.start()

    def run(self):
        while not self.history.stopping and not self.history.gap:
            try:
                self._follow()
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(0.1)

    def _follow(self):
        connection = self.history.cluster.connect(timeout=400)
        query = urllib.parse.urlencode({"watch": 1, "resourceVersion": self.version, "timeoutSeconds": 300,
                                        "allowWatchBookmarks": 1})
        try:
            connection.request("GET", f"{self.path}?{query}")
            response = connection.getresponse()
            while not self.history.stopping and (line := response.readline()):
                event = json.loads(line)
                if event["type"] not in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK"):
                    self.history.gap = f"{self.resource} behind {self.version}: {event}"
                    return
                self.version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self.history.add(Change(self.resource, event))
        finally:
            connection.close()


class History:
    """Begins when it is made, behind the version `began`; `changes()` is all there is, oldest first, what was listed too."""

    def __init__(self, cluster, namespace, resources):
        self.cluster, self.namespace, self.began = cluster, namespace, 0
        self.stopping, self.gap = False, None
        self._changes, self._lock = [], threading.Lock()
        self._watches = [_Watch(self, resource) for resource in resources]

    def add(self, change):
        with self._lock:
            bisect.insort(self._changes, change, key=lambda known: known.version)

    def changes(self):
        assert not self.gap, f"the history has a gap: {self.gap}"
        with self._lock:
            return list(self._changes)

    def states(self):
        """(version, {resource: {name: item}}) as it began and after each change; the dicts are one and the same, and go on."""
        state, yielded = {watch.resource: {} for watch in self._watches}, False
        for change in self.changes():
            if change.version > self.began and not yielded:
                yield self.began, state
                yielded = True
            if change.gone:
                state[change.resource].pop(change.name, None)
            else:
                state[change.resource][change.name] = change.item
            if yielded:
                yield change.version, state
        if not yielded:
            yield self.began, state

    def wait(self, resource, holds, timeout=20, what=None):
        """Until the watches have told a state of that resource's objects for which holds({name: item})."""
        def told():
            now = {}
            for _, state in self.states():
                now = state[resource]
            return holds(now)

        return eventually(told, timeout, what=what)

    def _has_all(self):
        told = {watch.resource: {} for watch in self._watches}
        for change in self.changes():
            told[change.resource][change.name] = None if change.gone else change.version
        return all({name: version for name, version in told[watch.resource].items() if version} == {
            item["metadata"]["name"]: int(item["metadata"]["resourceVersion"]) for item in self.cluster.list(watch.resource, self.namespace)}
            for watch in self._watches)

    def catch_up(self):
        """Watches tell a moment later than a look at the server: until they have told what it has now. Returns itself."""
        eventually(self._has_all, what="the watches have told all that is there")
        return self

    def stop(self):
        """When the watches have told what is there, if it holds still."""
        with contextlib.suppress(AssertionError):
            within(self._has_all, 5)
        self.stopping = True
