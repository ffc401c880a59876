"""The metrics API behind a real kube-apiserver: aggregated, authorised there, and read by its own clients."""

import base64
import contextlib
import http.client
import json
import ssl
import urllib.parse

import pytest
from harness.autoscale import READER
from harness.front_proxy import VERSIONS, Authority, Proxy, Serving, available, installed, manifests, port_of, value_path
from harness.pipes import Pipes
from harness.process import Flotillad
from harness.wait import eventually

GROUP = "/apis/custom.metrics.k8s.io"


@pytest.fixture(scope="module")
def serving(tmp_path_factory):
    return Serving(tmp_path_factory.mktemp("serving"))


@contextlib.contextmanager
def running(stack, serving, directory):
    process = Flotillad(["operate", "--kubeconfig", stack.env["KUBECONFIG_OPERATE"], *serving.options], {}, directory)
    try:
        yield process
    finally:
        status = process.stop()
    assert status == 0 and not process.sanitizer_reports()


@pytest.fixture(scope="module")
def operator(stack, serving, tmp_path_factory):
    with running(stack, serving, tmp_path_factory.mktemp("operate")) as process:
        yield process


@pytest.fixture(scope="module")
def aggregated(stack, serving, operator):
    with installed(stack, serving, port_of(operator)):
        yield stack


@pytest.fixture(scope="module")
def shop(aggregated):
    """Two classes without pods: what is asked for of them does not wait for any."""
    pipes = Pipes(aggregated, "metrics-shop")
    for name in ("blue", "green"):
        pipes.worker_class(name, 0, capacity=30)
    pipes.pipeline("first", 10, ["blue", "green"])
    pipes.pipeline("second", 7, ["blue"])
    yield pipes
    pipes.cluster.delete("namespaces", pipes.namespace)


def raw(stack, path, check=True, **kwargs):
    answer = stack.kubectl("get", "--raw", path, check=check, **kwargs)
    return json.loads(answer) if check else answer


def values(body):
    return {item["describedObject"]["name"]: item["value"] for item in body["items"]}


def test_the_api_server_s_own_clients_read_it(aggregated, shop):
    def told():
        assert values(raw(aggregated, value_path(shop.namespace, "blue"))) == {"blue": "17"}
        return True

    eventually(told, 30, what="what both pipelines ask for")
    for version in VERSIONS:
        body = raw(aggregated, value_path(shop.namespace, "*", version))
        assert body["apiVersion"] == f"custom.metrics.k8s.io/{version}" and values(body) == {"blue": "17", "green": "10"}
    assert [row["version"] for row in raw(aggregated, GROUP)["versions"]] == ["v1beta2", "v1beta1"]


def test_the_api_server_s_discovery_is_whole(aggregated, shop):
    """What it gathers from all groups in one document has ours, and not as one that did not answer."""
    def gathered():
        connection = shop.cluster.connect()
        connection.request("GET", "/apis", headers={
            "Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"})
        groups = json.loads(connection.getresponse().read())["items"]
        connection.close()
        ours = next(group for group in groups if group["metadata"]["name"] == "custom.metrics.k8s.io")
        assert [(row["version"], row["freshness"]) for row in ours["versions"]] == [("v1beta2", "Current"), ("v1beta1", "Current")]
        return True

    eventually(gathered, 60, what="the group is current")
    for version in VERSIONS:
        assert [row["name"] for row in raw(aggregated, f"{GROUP}/{version}")["resources"]] == [
            "workerclasses.scheduling.k8s.xxii.io/workerclass_request"]


def test_what_is_refused(aggregated, shop):
    for path in (value_path(shop.namespace, "none"), value_path(shop.namespace, "blue", metric="other"),
                 value_path("default", "blue")):
        assert "NotFound" in raw(aggregated, path, check=False).stderr
    denied = raw(aggregated, value_path(shop.namespace, "blue"), check=False, kubeconfig="fleet")
    assert "Forbidden" in denied.stderr and "custom.metrics.k8s.io" in denied.stderr  # by the API server, before it asks
    posted = aggregated.kubectl("create", "--raw", value_path(shop.namespace, "blue"), "-f", "-", stdin="{}", check=False)
    assert posted.returncode != 0 and "there is only GET" in posted.stderr, posted.stderr


def test_what_keda_s_scaler_does(stack, aggregated, shop):
    """metrics-api with bearer: GET, a number at status.request. The token may do nothing else. (As the docs tell.)"""
    stack.kubectl("-n", shop.namespace, "apply", "-f", "-", stdin=READER)

    def secret():
        return (shop.cluster.get("secrets", "read-classes-token", shop.namespace) or {}).get("data", {})

    made = eventually(lambda: secret().get("token") and secret(), 30, what="the token is made")
    token, authority = (base64.b64decode(made[key]).decode() for key in ("token", "ca.crt"))
    address = urllib.parse.urlsplit(stack.env["KUBE_API_URL"])

    def ask(path):
        connection = http.client.HTTPSConnection(address.hostname, address.port, timeout=20,
                                                 context=ssl.create_default_context(cadata=authority))
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())

    classes = f"/apis/scheduling.k8s.xxii.io/v1alpha1/namespaces/{shop.namespace}/workerclasses"
    eventually(lambda: ask(f"{classes}/blue")[1]["status"]["request"] == 17, 20, what="the number")
    assert isinstance(ask(f"{classes}/blue")[1]["status"]["request"], int)
    assert [ask(path)[0] for path in (classes, value_path(shop.namespace, "blue"), "/api/v1/namespaces/default/secrets")] == [403] * 3


def test_the_real_front_proxy_and_its_neighbours(stack, serving, operator, aggregated, tmp_path):
    """The cluster's own authorities: of the front proxy by name, and not the one of users."""
    port, pki = port_of(operator), f"{stack.directory}/pki"
    assert Proxy(port, serving, (f"{pki}/front-proxy.crt", f"{pki}/front-proxy.key")).ask(GROUP)[0] == 200
    other_name = Authority(pki, "front-proxy-ca").issue(tmp_path, "system:admin")
    for pair in (other_name, (f"{pki}/admin.crt", f"{pki}/admin.key"), None):
        assert Proxy(port, serving, pair).ask(GROUP)[0] == 401, pair


def test_a_foreign_provider_is_left_alone(stack, serving, operator, aggregated):
    before = stack.get("apiservice", "v1beta2.custom.metrics.k8s.io")
    done = stack.kubectl("create", "-f", "-", stdin=manifests(serving, 1), check=False)
    assert done.returncode != 0 and "already exists" in done.stderr
    assert stack.get("apiservice", "v1beta2.custom.metrics.k8s.io")["spec"] == before["spec"]


def test_namespaces_can_be_deleted_while_it_serves(aggregated, shop):
    pipes = Pipes(aggregated, "metrics-going")
    pipes.worker_class("blue", 0, capacity=30)
    pipes.cluster.delete("namespaces", pipes.namespace)
    eventually(lambda: pipes.cluster.get("namespaces", pipes.namespace) is None, 60, what="the namespace is gone")
    assert all(available(aggregated, version) for version in VERSIONS)


def test_renewed_without_a_gap(stack, aggregated, serving, operator, shop):
    """By the same authority: the API server's questions are answered before, meanwhile and after."""
    pki = f"{stack.directory}/pki"

    def serial():
        proxy = Proxy(port_of(operator), serving, (f"{pki}/front-proxy.crt", f"{pki}/front-proxy.key"))
        assert proxy.ask(GROUP)[0] == 200
        return proxy.serial()

    before = serial()
    serving.renew()

    def is_new():
        raw(aggregated, value_path(shop.namespace, "blue"))
        return serial() != before

    eventually(is_new, 30, what="the new certificate is shown")
    for _ in range(5):
        raw(aggregated, value_path(shop.namespace, "blue"))
