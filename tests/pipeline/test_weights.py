"""Uneven shares as weights of an HTTPRoute, of the real kind. Nobody here is a gateway: what one answers is written by hand."""

import base64
import hashlib
import pathlib
import time

import pytest
from harness import REPO, metrics
from harness.cluster import Cluster
from harness.devcluster import kubectl_path
from harness.history import History
from harness.wait import eventually

from pipeline.test_pipeline import API, STRANGER, binding_to, one, world  # noqa: F401
from pipeline.test_pipeline_placement import class_condition
from pipeline.test_pipeline_scaling import scaled  # noqa: F401

KIND = "httproutes.gateway.networking.k8s.io"
DEFINITION = pathlib.Path(kubectl_path()).parent.parent / "gateway/httproutes.yaml"
WORKER = "scheduling.k8s.xxii.io/worker"
GATEWAYS = {"gateways": [{"name": "public", "namespace": "infra"}], "hostnameSuffix": "workers.example.com"}
SHOWN = ("pipelinebindings", "services", "endpointslices", "httproutes")


def forget(stack):
    stack.kubectl("delete", "crd", KIND, "--ignore-not-found", "--wait")


def serve(stack):
    stack.kubectl("apply", "--server-side", "-f", str(DEFINITION))
    eventually(lambda: Cluster(stack).request("GET", "/apis/gateway.networking.k8s.io/v1/httproutes")[0] == 200, 20)


@pytest.fixture(scope="module")
def routes(stack):
    serve(stack)
    yield
    forget(stack)


def condition(world, name, kind="Weighted"):  # noqa: F811
    rows = world.get("pipelinebindings", name).get("status", {}).get("conditions", [])
    return next(((row["status"], row["reason"], row["message"]) for row in rows if row["type"] == kind), None)


def wait_weighted(world, name, status, reason, timeout=20):  # noqa: F811
    def is_so():
        found = condition(world, name)
        assert found and found[:2] == (status, reason), found
        return True

    eventually(is_so, timeout, what=f"{name} {reason}")
    return condition(world, name)[2]


def workers_of(state):
    """{Service: pod} of those that lead to one pod."""
    return {name: item["metadata"]["annotations"][WORKER] for name, item in state.items()
            if WORKER in item["metadata"].get("annotations", {})}


def weights(world, name):  # noqa: F811
    """{pod: weight}, or {Service: weight} where it leads to none, of the route of that name."""
    route = world.get("httproutes", name)
    pods = workers_of(world.list("services"))
    return {pods.get(ref["name"], ref["name"]): ref["weight"] for ref in route["spec"]["rules"][0]["backendRefs"]} if route else None


def wait_weights(world, name, wanted, timeout=20):  # noqa: F811
    def is_so():
        assert (found := weights(world, name)) == wanted, found
        return True

    eventually(is_so, timeout, what=f"weights {wanted}")


def wake(world, name):  # noqa: F811
    """It is looked at now, and not only a minute later."""
    world.cluster.merge("pipelinebindings", name, {"metadata": {"annotations": {"looked-at": str(time.monotonic())}}}, world.namespace)


def answer(world, name, *rows, generation=0):  # noqa: F811
    """As a gateway's controller does: (status, reason, message) for each parent."""
    route = world.get("httproutes", name)
    parents = [{"parentRef": parent, "controllerName": "example.com/gateway", "conditions": [
        {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z",
         "observedGeneration": generation or route["metadata"]["generation"]}
        for kind in ("Accepted", "ResolvedRefs")]} for parent, (status, reason, message) in zip(route["spec"]["parentRefs"], rows)]
    world.cluster.ok("PATCH", world.cluster.path("httproutes", world.namespace, name) + "/status", {"status": {"parents": parents}},
                     "application/merge-patch+json")


def set_ready(world, name, ready):  # noqa: F811
    pod = world.get("pods", name)
    for row in pod["status"]["conditions"]:
        if row["type"] == "Ready":
            row.update(status=str(ready), lastTransitionTime=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    world.cluster.ok("PATCH", world.cluster.path("pods", world.namespace, name) + "/status",
                     {"status": {"conditions": pod["status"]["conditions"]}}, "application/merge-patch+json")


def service_of(binding, pod):
    return f"{binding[:50]}--{base64.b32encode(hashlib.sha256(f'{binding}/{pod}'.encode()).digest()).decode().lower()[:10]}"


def assert_in_order(history):
    """In each state of the namespace: a route leads to what is there; and a binding that says it is routed has no route, and no
    Service of a pod, that leads to a pod which it no longer has."""
    checked = 0
    for version, state in history.states():
        services, pods = state["services"], workers_of(state["services"])
        for name, route in state["httproutes"].items():
            refs = {ref["name"] for rule in route["spec"]["rules"] for ref in rule["backendRefs"]}
            assert refs <= set(services), f"{version}: {name} leads to what is not there: {refs - set(services)}"
            slices = {item["metadata"]["labels"]["kubernetes.io/service-name"] for item in state["endpointslices"].values()}
            assert refs <= slices, f"{version}: {name} leads to a Service without endpoints of its own: {refs - slices}"
            binding = state["pipelinebindings"].get(name)
            if binding and binding["status"].get("observedGeneration") == binding["metadata"]["generation"]:
                led = {pods[ref] for ref in refs if ref in pods}
                assert led <= {share["pod"] for share in binding["spec"]["shares"]}, f"{version}: {name} still leads to {led}"
                checked += 1
    assert checked, "nothing was routed"


def lived_on(history, service):
    """Seconds from when no route led to a Service any more to its end."""
    led = [change for change in history.changes() if change.resource == "httproutes"]
    refs = [change for change in led if service in str(change.item["spec"])]
    without = next(change for change in led if change.version > refs[-1].version)
    gone = [change for change in history.changes() if change.resource == "services" and change.name == service and change.gone]
    return gone[-1].at - without.at


def split(world, name="first", rate=15, pods=3, **spec):  # noqa: F811
    """A stage on two pods, 10 and 5 documents/s."""
    spec = {"mode": "Weighted", "drainSeconds": 0, "httpRoute": {}, **spec}
    world.worker_class("blue", 10, **{field: value for field, value in spec.items() if value is not None})
    for ordinal in range(pods):
        world.pod("blue", ordinal)
    world.wait_pods(*(f"blue-{ordinal}" for ordinal in range(pods)))
    world.pipeline(name, rate, {"blue": one("blue")})
    world.wait(name, "Ready", "Routed", 40)


def test_without_the_kind_the_service_serves_and_it_heals_when_that_comes(stack, world, operate):  # noqa: F811
    forget(stack)
    operate()
    split(world)
    wait_weighted(world, "first-blue", "False", "RouteKindMissing")
    assert sorted(world.list("services")) == ["first-blue"] and world.endpoints("first-blue") == ["blue-0", "blue-1"]
    told = eventually(lambda: class_condition(world, "blue", "Weighted"))
    assert told[:2] == ("False", "RouteKindMissing") and told[2].startswith("first-blue: the cluster serves no HTTPRoute")
    try:
        serve(stack)
        wait_weighted(world, "first-blue", "Unknown", "Unanswered", 90)
        assert weights(world, "first-blue") == {"blue-0": 2, "blue-1": 1}
        answer(world, "first-blue", ("True", "Accepted", ""))
        wait_weighted(world, "first-blue", "True", "Accepted")
    finally:
        forget(stack)
    world.pipeline("first", 20, {"blue": one("blue")})  # the kind goes while it is in use
    eventually(lambda: world.loads() == {"blue-0": 10, "blue-1": 10}, 20)
    wait_weighted(world, "first-blue", "False", "RouteKindMissing", 90)
    world.wait("first", "Ready", "Routed", 40)


def test_requests_are_divided_by_the_shares_and_nobody_is_sent_to_who_leaves(world, operate, routes):  # noqa: F811
    operate()
    history = History(world.cluster, world.namespace, SHOWN)
    split(world)
    wait_weights(world, "first-blue", {"blue-0": 2, "blue-1": 1})
    route = world.get("httproutes", "first-blue")
    assert route["spec"]["parentRefs"] == [{"group": "", "kind": "Service", "name": "first-blue"}] and not route["spec"].get("hostnames")
    for service, pod in workers_of(world.list("services")).items():
        assert world.endpoints(service) == [pod] and service.startswith("first-blue--")
    assert world.endpoints("first-blue") == ["blue-0", "blue-1"], "who does not ask through a mesh is served"
    assert world.get("services", "first-blue")["spec"]["ports"][0]["appProtocol"] == "http"
    set_ready(world, "blue-1", False)
    wait_weights(world, "first-blue", {"blue-0": 2, "blue-1": 0})
    set_ready(world, "blue-1", True)
    wait_weights(world, "first-blue", {"blue-0": 2, "blue-1": 1})
    world.pipeline("first", 20, {"blue": one("blue")})
    wait_weights(world, "first-blue", {"blue-0": 1, "blue-1": 1})
    world.cluster.delete("pods", "blue-0", world.namespace)
    wait_weights(world, "first-blue", {"blue-1": 1, "blue-2": 1})
    eventually(lambda: sorted(workers_of(world.list("services")).values()) == ["blue-1", "blue-2"], what="its Service went")
    world.pipeline("first", 10, {"blue": one("blue")})
    world.pod("blue", 0)
    eventually(lambda: len(weights(world, "first-blue")) == 1, 20)
    stays, = weights(world, "first-blue")
    leaves, = {"blue-1", "blue-2"} - {stays}
    eventually(lambda: list(workers_of(world.list("services")).values()) == [stays], what="the Service of who left went")
    eventually(lambda: lived_on(history, service_of("first-blue", leaves)), what="the history has it")
    assert 1 < lived_on(history, service_of("first-blue", leaves)) < 20, "who serves by the route may hear of that later"
    assert lived_on(history, service_of("first-blue", "blue-0")) < 1.9, "of a pod that went nothing stays, not for those two seconds"
    world.pipeline("first", 0, {"blue": one("blue")})
    world.wait("first", "Ready", "NoLoad")
    wait_weights(world, "first-blue", {"first-blue": 1})
    wait_weighted(world, "first-blue", "False", "NoWorkers")
    eventually(lambda: not workers_of(world.list("services")))
    world.pipeline("first", 5, {"blue": one("blue")})
    world.wait("first", "Ready", "Routed")
    eventually(lambda: list(weights(world, "first-blue").values()) == [1], what="it runs again")
    history.stop()
    assert_in_order(history)


STRANGE = {"name": "stranger", "port": 1}
MIRROR = {"filters": [{"type": "RequestMirror", "requestMirror": {"backendRef": STRANGE}}]}


def additions(spec):
    """Specs of a route to which somebody added a way to a stranger, or what keeps requests away."""
    rule = spec["rules"][0]
    first, *others = rule["backendRefs"]
    match, = rule["matches"]
    more = {"headers": [{"name": "strange", "value": "a"}]}, {"method": "GET"}, {"queryParams": [{"name": "strange", "value": "a"}]}
    rules = [{"backendRefs": [first, *others, STRANGE]}, MIRROR, {"timeouts": {"request": "1s"}},
             *({"backendRefs": [{**first, **added}, *others]} for added in (MIRROR, {"namespace": "strange"})),
             *({"matches": [{**match, **added}]} for added in more)]  # fmt: skip
    yield from ({"rules": [{**rule, **added}]} for added in rules)
    yield {"rules": [rule, {"backendRefs": [STRANGE]}]}
    yield from ({"parentRefs": [{**spec["parentRefs"][0], **added}]} for added in ({"port": 1}, {"sectionName": "strange"}))


def add_to(world, name):  # noqa: F811
    """By merge patch, as an owner of his own fields by server-side apply: ours replaces lists wholly, whoever wrote them."""
    spec = world.get("httproutes", name)["spec"]
    path = world.cluster.path("httproutes", world.namespace, name)
    for added in additions(spec):
        world.cluster.merge("httproutes", name, {"spec": added}, world.namespace)
        eventually(lambda: world.get("httproutes", name)["spec"] == spec, what=f"gone is {added}")
        world.cluster.ok("PATCH", f"{path}?fieldManager=stranger&force=true", {
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "spec": added}, "application/apply-patch+yaml")
        eventually(lambda: world.get("httproutes", name)["spec"] == spec, what=f"gone is what was applied: {added}")


def test_what_gateways_answer_is_told_and_who_opts_out_keeps_serving(world, operate, routes):  # noqa: F811
    operator = operate()
    split(world, httpRoute=GATEWAYS)
    wait_weighted(world, "first-blue", "Unknown", "Unanswered")
    route = world.get("httproutes", "first-blue")
    assert route["spec"]["hostnames"] == [f"first-blue.{world.namespace}.workers.example.com"]
    assert [(ref["kind"], ref["namespace"], ref["name"]) for ref in route["spec"]["parentRefs"]] == [("Gateway", "infra", "public")]
    add_to(world, "first-blue")
    answer(world, "first-blue", ("False", "NotAllowedByListeners", "not from this namespace"))
    says = wait_weighted(world, "first-blue", "False", "NotAccepted")
    assert says.endswith("Gateway public says NotAllowedByListeners: not from this namespace")
    eventually(lambda: class_condition(world, "blue", "Weighted") == ("False", "NotAccepted", f"first-blue: {says}"))
    assert world.status("first-blue", "pipelinebindings")[:2] == ("Ready", "Routed"), "the Service serves"
    answer(world, "first-blue", ("True", "Accepted", ""))
    wait_weighted(world, "first-blue", "True", "Accepted")
    eventually(lambda: class_condition(world, "blue", "Weighted")[:2] == ("True", "Accepted"))
    eventually(lambda: {"Unanswered", "NotAccepted", "Accepted"} <= {
        labels["reason"] for labels, _ in metrics.read(operator, "flotilla_pipeline_reasons_total")}, what="as other reasons are")
    history = History(world.cluster, world.namespace, SHOWN)
    world.cluster.merge("workerclasses", "blue", {"spec": {"httpRoute": None}}, world.namespace)
    eventually(lambda: not world.list("httproutes") and sorted(world.list("services")) == ["first-blue"], what="all is taken back")
    eventually(lambda: condition(world, "first-blue") is None and class_condition(world, "blue", "Weighted") is None)
    history.stop()
    assert_in_order(history)
    told = {change.item["status"]["phase"] for change in history.changes() if change.resource == "pipelinebindings"}
    assert told == {"Ready"} and world.endpoints("first-blue") == ["blue-0", "blue-1"]
    world.cluster.merge("workerclasses", "blue", {"spec": {"httpRoute": {}}}, world.namespace)
    wait_weights(world, "first-blue", {"blue-0": 2, "blue-1": 1})
    world.cluster.delete("pipelines", "first", world.namespace)
    eventually(lambda: not world.list("httproutes") and not world.list("services"), 60, what="all of it goes")


def test_what_is_not_ours_is_left_alone_and_requests_are_spread_evenly(world, operate, routes):  # noqa: F811
    operate()
    theirs = {"parentRefs": [{"name": "theirs"}], "rules": [{"backendRefs": [{"name": "theirs", "port": 1}]}]}
    world.apply("httproutes", "first-blue", theirs, version="gateway.networking.k8s.io/v1", kind="HTTPRoute")
    before = world.get("httproutes", "first-blue")
    split(world)
    assert "HTTPRoute first-blue" in wait_weighted(world, "first-blue", "False", "ObjectTaken")
    assert world.get("httproutes", "first-blue") == before and sorted(world.list("services")) == ["first-blue"]
    assert world.status("first-blue", "pipelinebindings")[:2] == ("Ready", "Routed")
    taken = service_of("second-blue", "blue-2")
    world.apply("services", taken, {"ports": [{"port": 1}], "selector": {"a": "b"}}, version="v1", kind="Service")
    world.pipeline("second", 10, {"blue": one("blue")})  # 5 are left on blue-1, and blue-2 is empty
    world.wait("second", "Ready", "Routed", 40)
    assert f"Service {taken}" in wait_weighted(world, "second-blue", "False", "ObjectTaken")
    assert weights(world, "second-blue") == {"second-blue": 1} and world.get("services", taken)["spec"]["selector"] == {"a": "b"}
    assert set(world.endpoints("second-blue")) >= {"blue-2"}
    made = {name: item["metadata"]["uid"] for name, item in world.list("services").items()}
    world.cluster.delete("services", taken, world.namespace)
    wake(world, "second-blue")
    wait_weighted(world, "second-blue", "Unknown", "Unanswered", 90)
    assert taken in world.get("services", taken)["metadata"]["name"] and set(weights(world, "second-blue")) >= {"blue-2"}
    after = {name: item["metadata"]["uid"] for name, item in world.list("services").items()}
    assert {name: uid for name, uid in made.items() if name != taken}.items() <= after.items(), "what was there was not made anew"
    world.cluster.delete("httproutes", "first-blue", world.namespace)
    wake(world, "first-blue")
    wait_weighted(world, "first-blue", "Unknown", "Unanswered", 90)


def no_updates(namespace):
    """The API server refuses changes of HTTPRoutes of that namespace."""
    group, name = {"apiVersion": "admissionregistration.k8s.io/v1"}, f"no-updates-{namespace}"
    rule = {"apiGroups": ["gateway.networking.k8s.io"], "apiVersions": ["*"], "resources": ["httproutes"], "operations": ["UPDATE"]}
    own = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    return [{**group, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name}, "spec": {
                "failurePolicy": "Fail", "matchConstraints": {"namespaceSelector": own, "resourceRules": [rule]},
                "validations": [{"expression": "false", "message": "no updates"}]}},
            {**group, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name},
             "spec": {"policyName": name, "validationActions": ["Deny"]}}]  # fmt: skip


def policy_path(item):
    plural = {"ValidatingAdmissionPolicy": "validatingadmissionpolicies"}.get(item["kind"], "validatingadmissionpolicybindings")
    return f"/apis/admissionregistration.k8s.io/v1/{plural}/{item['metadata']['name']}"


def test_a_binding_whose_route_cannot_be_changed_serves_but_does_not_say_it_is_routed(world, operate, routes):  # noqa: F811
    """Else what leaves a pod would count as gone, while the route still leads there."""
    operate()
    split(world)
    wait_weights(world, "first-blue", {"blue-0": 2, "blue-1": 1})
    policy = no_updates(world.namespace)
    for item in policy:
        world.cluster.ok("PATCH", policy_path(item) + "?fieldManager=test&force=true", item, "application/apply-patch+yaml")
    route = world.cluster.path("httproutes", world.namespace, "first-blue")
    try:
        eventually(lambda: world.cluster.request("PATCH", f"{route}?dryRun=All", {"metadata": {"labels": {"a": "b"}}},
                                                 "application/merge-patch+json")[0] == 422, 20, what="the policy holds")
        world.pipeline("first", 20, {"blue": one("blue")})
        eventually(lambda: (condition(world, "first-blue") or "")[0] == "False", 20)
        assert "no updates" in condition(world, "first-blue")[2]
        binding = world.get("pipelinebindings", "first-blue")
        assert binding["status"]["observedGeneration"] < binding["metadata"]["generation"] and binding["status"]["phase"] == "Ready"
        assert weights(world, "first-blue") == {"blue-0": 2, "blue-1": 1}
    finally:
        for item in reversed(policy):
            world.cluster.request("DELETE", policy_path(item))
    eventually(lambda: wake(world, "first-blue") or weights(world, "first-blue") == {"blue-0": 1, "blue-1": 1}, 60, interval=1,
               what="the policy holds no longer")
    world.wait("first", "Ready", "Routed")
    binding = world.get("pipelinebindings", "first-blue")
    assert binding["status"]["observedGeneration"] == binding["metadata"]["generation"]


def set_finalizers(world, name, *finalizers):  # noqa: F811
    world.cluster.merge("httproutes", name, {"metadata": {"finalizers": finalizers}}, world.namespace)


def generations(world, name):  # noqa: F811
    binding = world.get("pipelinebindings", name)
    return binding["status"]["observedGeneration"], binding["metadata"]["generation"]


def test_a_route_that_is_held_while_it_goes_counts_as_leading(world, operate, routes):  # noqa: F811
    operate()
    split(world)
    wait_weights(world, "first-blue", {"blue-0": 2, "blue-1": 1})
    set_finalizers(world, "first-blue", "example.com/hold")
    world.cluster.delete("httproutes", "first-blue", world.namespace)
    wait_weighted(world, "first-blue", "False", "RouteGoing")
    world.pipeline("first", 20, {"blue": one("blue")})
    eventually(lambda: world.loads() == {"blue-0": 10, "blue-1": 10}, 20)
    wake(world, "first-blue")
    time.sleep(2)
    observed, wanted = generations(world, "first-blue")
    assert observed < wanted and weights(world, "first-blue") == {"blue-0": 2, "blue-1": 1}
    assert world.status("first-blue", "pipelinebindings")[0] == "Ready"
    set_finalizers(world, "first-blue")
    wait_weights(world, "first-blue", {"blue-0": 1, "blue-1": 1})
    eventually(lambda: len(set(generations(world, "first-blue"))) == 1, what="routed as it says")
    set_finalizers(world, "first-blue", "example.com/hold")  # and one that is not wanted any more
    world.cluster.merge("workerclasses", "blue", {"spec": {"httpRoute": None}}, world.namespace)
    eventually(lambda: "deletionTimestamp" in world.get("httproutes", "first-blue")["metadata"])
    wake(world, "first-blue")
    time.sleep(2)
    observed, wanted = generations(world, "first-blue")
    assert observed < wanted, "its route leads on"
    set_finalizers(world, "first-blue")
    eventually(lambda: len(set(generations(world, "first-blue"))) == 1 and not world.list("httproutes"), what="it went")


def test_slices_that_a_tenant_wrote_are_no_pods_that_left(world, operate, routes):  # noqa: F811
    """With all our labels, our owner, and a pod that serves: else each would be a Service, and a pass that wakes itself."""
    operate()
    split(world)
    wait_weights(world, "first-blue", {"blue-0": 2, "blue-1": 1})
    own = next(item for name, item in world.list("endpointslices").items() if WORKER in item["metadata"].get("annotations", {}))
    metadata = {key: own["metadata"][key] for key in ("namespace", "labels", "ownerReferences")}
    metadata["annotations"] = {WORKER: "blue-2"}
    endpoint = {"addresses": [world.get("pods", "blue-2")["status"]["podIP"]], "conditions": {"ready": True}}
    for number in range(40):
        world.cluster.apply("endpointslices", {
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {**metadata, "name": f"mine-{number}"},
            "addressType": own["addressType"], "ports": own["ports"], "endpoints": [endpoint]})  # fmt: skip
    wake(world, "first-blue")
    history = History(world.cluster, world.namespace, SHOWN)
    time.sleep(5)
    assert set(workers_of(world.list("services")).values()) == {"blue-0", "blue-1"}
    history.stop()
    assert len(list(history.changes())) <= sum(len(world.list(resource)) for resource in SHOWN) + 5, "nothing is written for ever"


def test_nobody_is_let_go_to_whom_a_route_leads(scaled, operate, routes):  # noqa: F811
    operate()
    history = History(scaled.cluster, scaled.namespace, (*SHOWN, "pods"))
    scaled.scaled_class("blue", mode="Weighted", httpRoute={})
    scaled.pipeline("first", 25, ["blue"])
    scaled.wait_ready("first")
    assert scaled.replicas("blue") == 3
    scaled.pipeline("first", 10, ["blue"])
    scaled.wait_replicas(blue=1)
    eventually(lambda: scaled.pods() == ["blue-0"], 30, what="the others went")
    history.wait("pods", lambda pods: list(pods) == ["blue-0"])
    history.stop()
    led, went = set(), set()
    for version, state in history.states():
        going = {name for name, pod in state["pods"].items() if "deletionTimestamp" in pod["metadata"]}
        services, route = workers_of(state["services"]), state["httproutes"].get("first-blue")
        refs = route["spec"]["rules"][0]["backendRefs"] if route else []
        to = {services[ref["name"]] for ref in refs if ref["name"] in services}
        to |= {endpoint["targetRef"]["name"] for item in state["endpointslices"].values() for endpoint in item["endpoints"] or []}
        assert not going & to, f"{version}: {going & to} is deleted, and something leads there"
        led, went = led | to, went | going
    assert led == {"blue-0", "blue-1", "blue-2"} and went == {"blue-1", "blue-2"}


def test_more_pods_than_a_rule_has_room_for(world, operate, routes):  # noqa: F811
    """Laid out before the class asked for a route."""
    operate()
    split(world, rate=17, pods=17, mode="Equal", policy="Spread", maxSplit=17, maxReplicas=20, httpRoute=None)
    eventually(lambda: len(world.endpoints("first-blue")) == 17, 20, what="all have addresses")
    world.cluster.merge("workerclasses", "blue", {"spec": {"httpRoute": {}, "maxSplit": 16}}, world.namespace)
    wait_weighted(world, "first-blue", "False", "TooManyPods")
    assert weights(world, "first-blue") == {"first-blue": 1} and sorted(world.list("services")) == ["first-blue"]
    assert world.status("first-blue", "pipelinebindings")[:2] == ("Ready", "Routed")


def test_a_binding_that_somebody_else_wrote_has_no_route_to_a_stranger(world, operate, routes):  # noqa: F811
    operate()
    split(world)
    spec = {**binding_to(STRANGER), "httpRoute": GATEWAYS}
    theirs = {"parentRefs": [{"name": "theirs"}], "rules": [{"backendRefs": [{"name": "theirs", "port": 1}]}]}
    world.apply("httproutes", "nobodys", theirs, {"app.kubernetes.io/managed-by": "flotilla"}, "gateway.networking.k8s.io/v1", "HTTPRoute")
    answer(world, "nobodys", ("True", "Accepted", ""))
    history = History(world.cluster, world.namespace, ("pipelinebindings",))
    world.apply("pipelinebindings", "nobodys", spec)
    world.wait("nobodys", "Pending", "NoPipeline", resource="pipelinebindings")
    eventually(lambda: condition(world, "nobodys")[1] == "NoPipeline", 20)
    history.stop()
    told = [row["reason"] for change in history.changes() if change.name == "nobodys"
            for row in change.item.get("status", {}).get("conditions", []) if row["type"] == "Weighted"]
    assert told and "Accepted" not in told, "of another one's route nothing is told"
    owners = world.get("pipelinebindings", "first-blue")["metadata"]["ownerReferences"]
    world.cluster.apply("pipelinebindings", {"apiVersion": API, "kind": "PipelineBinding", "spec": spec, "metadata": {
        "name": "forged", "namespace": world.namespace, "ownerReferences": owners}})
    world.wait("forged", "Pending", "PodsUnknown", resource="pipelinebindings")
    assert weights(world, "nobodys") == {"theirs": 1} and weights(world, "forged") == {"forged": 1}
    assert world.endpoints("forged") == [] and set(workers_of(world.list("services")).values()) == {"blue-0", "blue-1"}


REFUSED = [
    ({"httpRoute": {}, "maxSplit": 17}, "spec.maxSplit", "with httpRoute maxSplit must be at most 16"),
    ({"httpRoute": {"gateways": [{"name": "a"}]}}, "spec.httpRoute", "gateways and hostnameSuffix must be given together"),
    ({"httpRoute": {"hostnameSuffix": "a.b"}}, "spec.httpRoute", "gateways and hostnameSuffix must be given together"),
    ({"httpRoute": {**GATEWAYS, "gateways": []}}, "spec.httpRoute.gateways", "at least 1"),
    ({"httpRoute": {**GATEWAYS, "gateways": [{"name": f"g-{at}"} for at in range(9)]}}, "spec.httpRoute.gateways", "at most 8"),
    ({"httpRoute": {**GATEWAYS, "gateways": [{"namespace": "a"}]}}, "spec.httpRoute.gateways[0].name", "Required"),
    ({"httpRoute": {**GATEWAYS, "hostnameSuffix": "-a"}}, "spec.httpRoute.hostnameSuffix", "should match"),
    ({"httpRoute": {**GATEWAYS, "hostnameSuffix": "a" * 126}}, "spec.httpRoute.hostnameSuffix", "125"),
]  # fmt: skip


def test_what_a_class_may_not_ask_for_is_refused_by_name(world):  # noqa: F811
    world.kubectl("apply", "-f", REPO / "crds/examples/weights.yaml")
    for number, (spec, field, says) in enumerate(REFUSED):
        item = {"apiVersion": API, "kind": "WorkerClass", "metadata": {"name": f"bad-{number}"}, "spec": {"capacity": 1, **spec}}
        status, told = world.cluster.request("POST", f"{world.cluster.path('workerclasses', world.namespace)}?fieldValidation=Strict", item)
        causes = told.get("details", {}).get("causes", [])
        assert status == 422 and any(cause["field"] == field and says in cause["message"] for cause in causes), (spec, told)
