"""Rotations of a registry's credentials, watched and held up."""

KINDS = ("database", "redis", "s3", "registry", "internal")


def phases(registry):
    """{kind: (phase, number)} as the custom resource's status tells it."""
    return {row["kind"]: (row["phase"], row["number"]) for row in registry["status"].get("credentials", [])}


class OldPod:
    """A pod of core that was started with what was there before, and does not go before it may: while it is there,
    nothing old is retired."""

    def __init__(self, cluster, namespace):
        self.cluster, self.namespace = cluster, namespace
        self.name = cluster.list("pods", namespace, "app.kubernetes.io/component=core")[0]["metadata"]["name"]
        self._hold(["flotilla.dev/test"])

    def _hold(self, finalizers):
        self.cluster.merge("pods", self.name, {"metadata": {"finalizers": finalizers}}, self.namespace)

    def let_go(self):
        self._hold(None)
