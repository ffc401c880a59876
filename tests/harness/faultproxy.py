"""The fault table: put into whatever stands in the place of an API server, and the proxy before a real one."""

import http.client
import json
import os
import ssl
import urllib.parse

from . import REPO
from .process import Child

TABLE = "/flotilla/faults"


def binary():
    beside = os.path.dirname(os.environ.get("FLOTILLAD", str(REPO / "build/dev/flotillad")))
    path = f"{beside}/flotilla-faultproxy"
    assert os.access(path, os.X_OK), f"{path} is missing: cmake --build --preset dev"
    return path


class Table:
    """What goes wrong there. `connect` gives a connection of http.client; `unplayed`: faults and verbs that cannot be had."""

    def __init__(self, connect, unplayed=()):
        self.connect, self.unplayed = connect, unplayed

    def _ask(self, method, body=None):
        connection = self.connect()
        try:
            connection.request(method, TABLE, body)
            response = connection.getresponse()
            answer = response.read()
            assert response.status == 200, answer
            return json.loads(answer)
        finally:
            connection.close()

    def put(self, rows=()):
        """What was met until then."""
        return self._met(self._ask("PUT", json.dumps(list(rows))))

    def rows(self):
        """As they were put, each with `seen` where it has fitted, and with `hit` where it fired."""
        return self._ask("GET")["rows"]

    def met(self):
        """{(client, verb, resource, namespace): how often} since the table was put."""
        return self._met(self._ask("GET"))

    @staticmethod
    def _met(answer):
        return {tuple(key.split(" ")): count for key, count in answer["met"].items()}


class Faultproxy(Child):
    """Before the API server of `stack`, for one of its users: fleet, operate, admin."""

    def __init__(self, stack, user, directory):
        self.pki, self.authority = f"{stack.directory}/pki", f"{directory}/ca.crt"
        self.kubeconfig = f"{directory}/faultproxy.kubeconfig"
        super().__init__([binary(), directory, "--upstream", stack.env["KUBE_API_URL"], "--ca", stack.env["KUBE_CA_FILE"],
                          "--cert", f"{self.pki}/{user}.crt", "--key", f"{self.pki}/{user}.key"], {}, directory)
        self.wait_log(lambda line: "serves" in line.get("msg", ""), 10)
        with open(self.kubeconfig, encoding="utf-8") as file:
            self.address = urllib.parse.urlsplit(file.read().partition('server: "')[2].partition('"')[0])
        self.table = Table(self.connect, {("stale", "watch")})

    def connect(self, timeout=20):
        tls = ssl.create_default_context(cafile=self.authority)
        return http.client.HTTPSConnection(self.address.hostname, self.address.port, context=tls, timeout=timeout)
