"""The metrics API of `flotillad operate` as an API server's front proxy meets it: who is let in, what is told, what is renewed.
The aggregation itself is tests/pipeline/test_metrics_api.py."""

import socket
import ssl
import time

import pytest
from harness import metrics
from harness.front_proxy import GROUP, USER, Authority, Proxy, Serving, config_map, port_of, value_path
from harness.wait import eventually

SCHEDULING = "/apis/scheduling.k8s.xxii.io/v1alpha1/namespaces"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
REREAD_S = 25  # it looks every 10 s


def core(dev, path, kind, name, **more):
    dev.apply(path, {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **more})


def trust(dev, authority, **kwargs):
    dev.apply("/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication", config_map(authority, **kwargs))


@pytest.fixture(scope="module")
def front(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("front"), "front-proxy-ca")


@pytest.fixture(scope="module")
def pair(front):
    return front.issue(front.directory, "front-proxy")


@pytest.fixture
def serving(tmp_path):
    return Serving(tmp_path)


@pytest.fixture
def cell(dev, front):
    for name in ("flotilla-system", "kube-system"):
        core(dev, f"/api/v1/namespaces/{name}", "Namespace", name)
    trust(dev, front)
    return dev


@pytest.fixture
def operate(cell, flotillad, serving):
    return lambda: flotillad(["operate", "--kubeconfig", cell.kubeconfig, *serving.options])


def until_known(proxy):
    """The ConfigMap was read, and so were the classes."""
    def known():
        status, body, _ = proxy.ask(value_path("nowhere"))
        assert status == 200, body
        return True

    eventually(known, 30, what="the front proxy is believed")
    return proxy


@pytest.fixture
def proxy(operate, serving, pair):
    return until_known(Proxy(port_of(operate()), serving, pair))


def worker_class(dev, namespace, name, labels=None):
    dev.ok("POST", f"{SCHEDULING}/{namespace}/workerclasses", {"metadata": {"name": name, "labels": labels or {}},
                                                               "spec": {"capacity": 30}})


def pipeline(dev, namespace, name, rate, class_name):
    dev.ok("POST", f"{SCHEDULING}/{namespace}/pipelines", {
        "metadata": {"name": name}, "spec": {"documentsPerSecond": rate, "workers": {"only": {"class": class_name}}}})


def wait_value(proxy, namespace, name, wanted):
    def is_so():
        status, body, _ = proxy.ask(value_path(namespace, name))
        assert status == 200 and body["items"][0]["value"] == wanted, body
        return True

    eventually(is_so, 20, what=f"{name} at {wanted}")


def test_discovery(proxy):
    for path in ("/apis", GROUP):
        status, body, headers = proxy.ask(path)
        group = body["groups"][0] if path == "/apis" else body
        assert status == 200 and headers["Content-Type"] == "application/json", body
        assert group["preferredVersion"] == {"groupVersion": "custom.metrics.k8s.io/v1beta2", "version": "v1beta2"}
        assert [row["version"] for row in group["versions"]] == ["v1beta2", "v1beta1"]
    for version in ("v1beta1", "v1beta2"):
        status, body, _ = proxy.ask(f"{GROUP}/{version}")
        assert status == 200 and body["groupVersion"] == f"custom.metrics.k8s.io/{version}"
        assert [(row["name"], row["namespaced"], row["verbs"]) for row in body["resources"]] == [
            ("workerclasses.scheduling.k8s.xxii.io/workerclass_request", True, ["get"])]
    for accept, wanted in ((AGGREGATED, 406), (f"{AGGREGATED},application/json", 200),
                           ("application/vnd.kubernetes.protobuf, */*", 200)):
        assert proxy.ask("/apis", headers={**USER, "Accept": accept})[0] == wanted
    for path in ("/", "/openapi/v2", "/openapi/v3", "/apis/", f"{GROUP}/v1", f"{GROUP}/v1beta2/", "/apis/apps", "/metrics",
                 f"{GROUP}/v1beta2/namespaces/a/metrics/b", f"{value_path('a', 'b')}/more"):
        status, body, _ = proxy.ask(path)
        assert (status, body["kind"], body["reason"], body["code"]) == (404, "Status", "NotFound", 404), path


def test_values_in_both_forms(cell, namespace, proxy):
    worker_class(cell, namespace, "blue")
    pipeline(cell, namespace, "first", 10, "blue")
    pipeline(cell, namespace, "second", 15, "blue")
    wait_value(proxy, namespace, "blue", "25")
    described = {"kind": "WorkerClass", "namespace": namespace, "name": "blue", "apiVersion": "scheduling.k8s.xxii.io/v1alpha1"}
    for version, own in (("v1beta2", {"metric": {"name": "workerclass_request", "selector": None}, "windowSeconds": 0}),
                         ("v1beta1", {"metricName": "workerclass_request", "selector": None, "window": 0})):
        status, body, _ = proxy.ask(value_path(namespace, "blue", version), metricLabelSelector="")
        stamp = body["items"][0].pop("timestamp")
        assert status == 200 and body == {
            "kind": "MetricValueList", "apiVersion": f"custom.metrics.k8s.io/{version}", "metadata": {},
            "items": [{"describedObject": described, "value": "25", **own}]}
        assert abs(time.time() - time.mktime(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ")) + time.timezone) < 60


def test_all_objects_and_their_labels(cell, namespace, proxy):
    for name, labels in (("blue", {"tier": "fast", "zone": "a"}), ("green", {"tier": "slow"}), ("idle", {"tier": "fast"})):
        worker_class(cell, namespace, name, labels)
    pipeline(cell, namespace, "first", 10, "blue")
    pipeline(cell, namespace, "second", 20, "green")
    wait_value(proxy, namespace, "green", "20")
    wait_value(proxy, namespace, "idle", "0")
    for selector, wanted in ((None, ["blue", "green", "idle"]), ("tier=fast", ["blue", "idle"]), ("tier==fast,zone", ["blue"]),
                             ("tier!=fast", ["green"]), ("!zone", ["green", "idle"]), ("zone notin (a, b)", ["green", "idle"]),
                             ("tier in (slow,none)", ["green"]), ("tier=none", [])):
        for star in ("*", "%2A", "%2a"):
            status, body, _ = proxy.ask(value_path(namespace, star), **({"labelSelector": selector} if selector else {}))
            assert (status, sorted(item["describedObject"]["name"] for item in body["items"])) == (200, wanted), selector
    status, body, _ = proxy.ask(value_path(namespace), labelSelector="tier in fast")
    assert (status, body["reason"]) == (400, "BadRequest") and "'(' is missing at byte 8" in body["message"], body


def test_what_is_not_there(cell, namespace, proxy):
    worker_class(cell, namespace, "blue")
    pipeline(cell, namespace, "first", 10, "blue")
    wait_value(proxy, namespace, "blue", "10")
    for path in (value_path(namespace, "blue", metric="other"), value_path(namespace, "blue", resource="pods"),
                 value_path(namespace, "green"), value_path("default", "blue"), value_path(namespace, "*", metric="other")):
        assert proxy.ask(path)[1]["reason"] == "NotFound", path
    status, body, _ = proxy.ask(value_path(namespace, "blue"), metricLabelSelector="a=b")
    assert status == 400 and "has no labels" in body["message"]
    cell.ok("DELETE", f"{SCHEDULING}/{namespace}/pipelines/first")
    cell.ok("DELETE", f"{SCHEDULING}/{namespace}/workerclasses/blue")
    eventually(lambda: proxy.ask(value_path(namespace, "blue"))[0] == 404, 10, what="a class that is gone has no value")


def test_other_verbs(proxy):
    for method in ("HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        status, _, headers = proxy.ask(GROUP, method)
        assert (status, headers["Allow"]) == (405, "GET"), method


def test_strangers_are_refused(tmp_path, operate, front, serving, pair):
    operator = operate()
    port = port_of(operator)
    until_known(Proxy(port, serving, pair))
    other = Authority(tmp_path, "other-ca")
    cases = {"no certificate": None, "another authority's": other.issue(tmp_path, "front-proxy"),
             "another name": front.issue(tmp_path, "admin"),
             "a server's": front.issue(tmp_path, "front-proxy", usage="serverAuth")}
    for what, its in cases.items():
        status, body, headers = Proxy(port, serving, its).ask(value_path("a", "b"))
        assert (status, body["reason"], headers["Connection"]) == (401, "Unauthorized", "close"), what
    for headers in ({}, {"X-Remote-User": ""}, {"X-Remote-Group": "system:masters"}):
        status, body, _ = Proxy(port, serving, pair).ask(GROUP, headers=headers)
        assert status == 401 and "names no user" in body["message"], headers
    counted = {row["answer"]: value for row, value in metrics.read(operator, "flotilla_metrics_api_answers_total")}
    assert counted["Unauthorized"] >= 7 and counted["OK"] >= 1
    assert sum("is a stranger" in line.get("msg", "") for line in operator.logs) < 4  # one line in ten seconds


def test_strangers_do_not_keep_others_out(operate, serving, pair):
    """Those that say nothing, half of them after the handshake: more than may be there at a time. Who comes by the front proxy
    does not wait for them. A busy machine may take as long once, but not each time."""
    port = port_of(operate())
    known = until_known(Proxy(port, serving, pair))

    def seconds():
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(16)]
        nobody = Proxy(port, serving, None)
        silent += [nobody.tls.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="127.0.0.1")
                   for _ in range(16)]
        silent += [socket.create_connection(("127.0.0.1", port)) for _ in range(16)]
        assert known.ask(GROUP)[0] == 200  # a connection that is there does not wait
        began = time.monotonic()
        assert Proxy(port, serving, pair).ask(GROUP)[0] == 200
        took = time.monotonic() - began
        for one in silent:
            one.close()
        return took

    assert sorted(seconds() for _ in range(5))[2] < 1.5  # no handshake's time is over yet


def test_a_certificate_of_another_name_is_a_stranger_s(tmp_path, operate, front, serving, pair):
    """The authority may certify others, too: one of an address has no more places than who has no certificate."""
    port = port_of(operate())
    known = until_known(Proxy(port, serving, pair))
    other = Proxy(port, serving, front.issue(tmp_path, "admin"))

    def idle(proxy):
        one = proxy.tls.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="127.0.0.1")
        one.settimeout(20)
        return one

    theirs, ours = [], []
    for _ in range(20):
        ours.append(idle(Proxy(port, serving, pair)))
        theirs.append(idle(other))
    assert [one.recv(1) for one in theirs[:4]] == [b""] * 4
    for one in (theirs[-1], *ours):
        one.settimeout(0.02)
        with pytest.raises(TimeoutError):
            one.recv(1)
    assert known.ask(GROUP)[0] == 200
    for one in theirs + ours:
        one.close()


def test_no_older_tls(operate, serving, pair):
    port = port_of(operate())
    proxy = until_known(Proxy(port, serving, pair))
    assert proxy.connection.sock.version() == "TLSv1.3"
    proxy.tls.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
        proxy.tls.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="127.0.0.1")


def test_each_replica_answers(cell, namespace, operate, serving, pair):
    first, second = (until_known(Proxy(port_of(operate()), serving, pair)) for _ in range(2))
    worker_class(cell, namespace, "blue")
    pipeline(cell, namespace, "first", 12, "blue")
    for proxy in (first, second):
        wait_value(proxy, namespace, "blue", "12")


def test_a_renewed_certificate(operate, serving, pair):
    operator = operate()
    port = port_of(operator)
    open_one = until_known(Proxy(port, serving, pair))
    open_one.ask(GROUP)
    before = open_one.serial()
    serving.renew(key=False)
    operator.wait_log(lambda line: "not the certificate's" in str(line), REREAD_S)

    def serial():
        new = Proxy(port, serving, pair)
        assert new.ask(GROUP)[0] == 200
        return new.serial()

    assert serial() == before  # what does not fit changes nothing
    serving.renew()
    eventually(lambda: serial() != before, REREAD_S, what="the new certificate is shown")


def test_another_authority(cell, operate, tmp_path, front, serving, pair):
    """Whoever the old one certified is out, on connections that are open, too."""
    port = port_of(operate())
    old = until_known(Proxy(port, serving, pair))
    began = time.monotonic()
    new = Authority(tmp_path, "new-front-proxy-ca")
    new_pair = new.issue(tmp_path, "aggregator")
    assert Proxy(port, serving, new_pair).ask(GROUP)[0] == 401
    trust(cell, new, names=["aggregator"])
    until_known(Proxy(port, serving, new_pair))
    old.connection.sock.settimeout(20)
    assert old.connection.sock.recv(1) == b"" and time.monotonic() - began < 18  # idle ones are ended after 20 s
    old.close()
    assert Proxy(port, serving, pair).ask(GROUP)[0] == 401
    trust(cell, front)
    eventually(lambda: Proxy(port, serving, pair).ask(GROUP)[0] == 200, REREAD_S, what="and back")


def test_an_authority_that_cannot_be_used_changes_nothing(cell, operate, front, serving, pair):
    operator = operate()
    port = port_of(operator)
    known = until_known(Proxy(port, serving, pair))
    unusable = config_map(front)
    unusable["data"]["requestheader-client-ca-file"] = "no certificate"
    cell.apply("/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication", unusable)
    operator.wait_log(lambda line: "authorities are none" in str(line), REREAD_S)
    assert known.ask(GROUP)[0] == 200  # on its connection, and on a new one
    assert Proxy(port, serving, pair).ask(GROUP)[0] == 200


def test_an_authority_that_is_taken_back(cell, operate, front, serving, pair):
    """A ConfigMap without one was read: nobody is believed, on open connections neither."""
    operator = operate()
    port = port_of(operator)
    known = until_known(Proxy(port, serving, pair))
    without = config_map(front)
    del without["data"]["requestheader-client-ca-file"]
    cell.apply("/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication", without)
    operator.wait_log(lambda line: "nobody is believed" in line.get("msg", ""), REREAD_S)
    began = time.monotonic()
    known.connection.sock.settimeout(20)
    assert known.connection.sock.recv(1) == b"" and time.monotonic() - began < 8  # idle ones are ended after 20 s
    known.close()
    status, body, _ = Proxy(port, serving, pair).ask(GROUP)
    assert status == 401, body
    trust(cell, front)
    eventually(lambda: Proxy(port, serving, pair).ask(GROUP)[0] == 200, REREAD_S, what="and back")


def test_nobody_is_believed_before_the_api_server_says_whom(cell, operate, front, serving, pair):
    cell.ok("DELETE", "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication")
    operator = operate()
    port = port_of(operator)
    operator.wait_log(lambda line: line.get("reason") == "NoFrontProxy", 20)
    assert Proxy(port, serving, pair).ask(GROUP)[0] == 401
    trust(cell, front)
    eventually(lambda: Proxy(port, serving, pair).ask(GROUP)[0] == 200, REREAD_S, what="it is read when it comes")


def test_options_that_cannot_be(flotillad, cell, serving, tmp_path):
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    for options, wanted in (([f"--metrics-api-cert={bad}"], "the certificate is none"),
                            ([f"--metrics-api-key={tmp_path}/none"], "No such file"), (["--metrics-api-key="], "--metrics-api-key"),
                            (["--metrics-api-listen=here"], "is not ADDRESS:PORT")):
        process = flotillad(["operate", "--kubeconfig", cell.kubeconfig, *serving.options, *options])
        assert process.wait(20) == 2 and wanted in str(process.logs[-1]), process.logs[-3:]
