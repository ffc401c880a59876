"""Who is not told the token gets nothing: neither another user of the machine, nor a page in a browser."""

import http.client
import json
import os
import subprocess

import pytest
from harness.devcluster import Devclusters, kubectl_path

PATHS = ("/api/v1/namespaces/default/secrets", "/apis", "/version", "/readyz", "/flotilla/faults", "/none")
WRONG = {
    "absent": (None, "no bearer token came with the request"),
    "of another scheme": ("Basic dXNlcjpwYXNz", "no bearer token came with the request"),
    "empty": ("Bearer ", "the bearer token is not this cluster's"),
    "of another length": ("Bearer {token}a", "the bearer token is not this cluster's"),
    "cut": ("Bearer {cut}", "the bearer token is not this cluster's"),
    "of another cluster": ("Bearer {other}", "the bearer token is not this cluster's"),
}


def ask(dev, method, path, body=None, headers=()):
    connection = http.client.HTTPSConnection(dev.host, dev.port, context=dev.tls, timeout=20)
    connection.request(method, path, body, dict(headers))
    response = connection.getresponse()
    answer = response.status, response.headers, json.loads(response.read())
    connection.close()
    return answer


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("sent", WRONG)
def test_every_path_asks_for_the_token(devclusters, sent, path):
    dev, other = devclusters.clusters
    value, message = WRONG[sent]
    headers = {"Authorization": value.format(token=dev.token, cut=dev.token[:-1], other=other.token)} if value else {}
    status, _, answer = ask(dev, "GET", path, headers=headers)
    assert (status, answer["kind"], answer["reason"], answer["code"]) == (401, "Status", "Unauthorized", 401)
    assert answer["message"].startswith(message) and "kubeconfig" in answer["message"] and dev.token not in json.dumps(answer)


def test_a_page_of_another_origin_can_neither_write_nor_ask_whether_it_may(dev, namespace):
    """What a browser sends without asking first, and what it asks first where a page would set the header."""
    path, origin = f"/api/v1/namespaces/{namespace}/configmaps", {"Origin": "https://evil.example.com"}
    item = json.dumps({"metadata": {"name": "evil"}})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        assert ask(dev, "POST", path, item, {**origin, "Content-Type": kind, "Cookie": f"token={dev.token}"})[0] == 401
    asked = {**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    status, headers, _ = ask(dev, "OPTIONS", path, headers=asked)
    assert status == 401 and not [name for name in headers if name.lower().startswith("access-control-")]
    assert dev.request("GET", f"{path}/evil")[0] == 404


def test_the_fault_table_is_not_changed(dev):
    before = dev.ok("GET", "/flotilla/faults")
    assert ask(dev, "PUT", "/flotilla/faults", "[]")[0] == 401 and dev.ok("GET", "/flotilla/faults")["rows"] == before["rows"]


def test_kubectl_says_that_nobody_is_logged_in(dev, tmp_path):
    config = tmp_path / "config"
    with open(dev.kubeconfig, encoding="utf-8") as file:
        config.write_text(file.read().replace(dev.token, "a" * len(dev.token)), encoding="utf-8")
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": str(config)}
    done = subprocess.run([kubectl_path(), "get", "ns"], env=env, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1 and "You must be logged in to the server" in done.stderr


def test_there_is_no_way_around_tls(dev):
    connection = http.client.HTTPConnection(dev.host, dev.port, timeout=20)
    with pytest.raises((http.client.HTTPException, OSError)):
        connection.request("GET", "/readyz", headers={"Authorization": f"Bearer {dev.token}"})
        connection.getresponse()


def test_the_token_stands_in_the_kubeconfig_alone(tmp_path):
    """Whatever the umask, and whatever an interrupted start left: the file is its owner's."""
    left = tmp_path / "cluster-1.kubeconfig.new"
    left.touch(mode=0o666)
    left.chmod(0o666)
    before = os.umask(0)
    try:
        running = Devclusters(tmp_path, count=2)
    finally:
        os.umask(before)
    tokens = [dev.token for dev in running.clusters]
    assert len(set(tokens)) == 2 and all(len(token) >= 32 for token in tokens)
    for dev in running.clusters:
        assert os.stat(dev.kubeconfig).st_mode & 0o777 == 0o600
    with open(f"/proc/{running.process.pid}/cmdline", "rb") as file:
        told = file.read().decode()
    assert running.stop() == 0 and not running.sanitizer_reports(), running.sanitizer_reports()
    told += json.dumps(running.logs) + "".join(path.read_text(errors="replace") for path in tmp_path.iterdir() if path.suffix != ".kubeconfig")
    assert not left.exists() and not any(token in told for token in tokens)
