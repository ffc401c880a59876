"""The API server's own log as an instrument: who wrote what since it was last looked at, and what was refused."""

import collections
import json
import os

WRITES = ("create", "update", "patch", "delete", "deletecollection")
OURS = ("flotilla-operate", "flotilla-fleet")

Request = collections.namedtuple("Request", "time user verb resource subresource namespace name code reason uri")


def _request(event):
    target, status = event.get("objectRef", {}), event.get("responseStatus", {})
    return Request(event["requestReceivedTimestamp"], event["user"]["username"], event["verb"], target.get("resource", ""),
                   target.get("subresource", ""), target.get("namespace", ""), target.get("name", ""),
                   status.get("code", 0), status.get("reason", ""), event["requestURI"])


class KubeAudit:
    """Reads on from where it stopped; begins at the log's present end."""

    def __init__(self, stack):
        self.path = stack.env["KUBE_AUDIT_LOG"]
        self.offset = os.path.getsize(self.path)

    def requests(self, users=OURS, verbs=None):
        """The finished requests of these users since the last call; a watch is one when it ends."""
        found = []
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # half written: next time
                self.offset += len(line)
                event = json.loads(line)
                wanted = event["user"]["username"] in users and (not verbs or event["verb"] in verbs)
                if wanted and event["stage"] == "ResponseComplete":
                    found.append(_request(event))
        return found

    def writes(self, users=OURS):
        return self.requests(users, WRITES)


def is_lease(request):
    return request.resource == "leases"


def of(words, requests):
    """Those that are about one of these: a namespace, or a name, an identity in their target."""
    return [r for r in requests if r.namespace in words or r.name in words or any(word in r.uri for word in words)]


def creations(requests):
    """(resource, namespace, name) → how often it came to be; an apply that found nothing is a creation, too."""
    return collections.Counter((r.resource, r.namespace, r.name) for r in requests if r.code == 201 and not r.subresource)


def refused_as_stale(requests):
    """Writes that the server refused because they stood on an older state: by resourceVersion (409), or by uid or by our
    rule on spec.revision (422)."""
    return [r for r in requests if (r.code == 409 and r.reason != "AlreadyExists") or r.code == 422]


def refused_as_double(requests):
    """Creates of what was there already. Events are told by either brain."""
    return [r for r in requests if r.code == 409 and r.reason == "AlreadyExists" and r.resource != "events"]
