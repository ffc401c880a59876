"""Who stands before an aggregated API: authorities, the API server's front proxy with its certificate, and the ConfigMap in
which it says so."""

import base64
import contextlib
import http.client
import json
import pathlib
import secrets
import ssl
import subprocess
import urllib.parse

import yaml

from . import REPO
from .wait import eventually

USER = {"X-Remote-User": "system:serviceaccount:kube-system:horizontal-pod-autoscaler", "X-Remote-Group": "system:authenticated"}
GROUP = "/apis/custom.metrics.k8s.io"
SERVICE_NAMES = "DNS:flotilla-metrics.flotilla-system.svc,DNS:localhost,IP:127.0.0.1"


def _openssl(*args, stdin=None):
    subprocess.run(["openssl", *map(str, args)], input=stdin, text=True, check=True, capture_output=True)


class Authority:
    """In files below `directory`; one that is there already (a stack's) is used."""

    def __init__(self, directory, name):
        self.directory = pathlib.Path(directory)
        self.certificate, self.key = self.directory / f"{name}.crt", self.directory / f"{name}.key"
        if not self.certificate.exists():
            self._key(self.key)
            _openssl("req", "-x509", "-new", "-key", self.key, "-days", 30, "-subj", f"/CN={name}", "-out", self.certificate,
                     "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def _key(self, path):
        _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)

    def issue(self, directory, common_name, names="", usage="clientAuth"):
        """(certificate, key): paths, of a name that nothing else has."""
        base = pathlib.Path(directory) / f"issued-{secrets.token_hex(4)}"
        certificate, key, request, extensions = (base.with_suffix(end) for end in (".crt", ".key", ".csr", ".ext"))
        self._key(key)
        more = f"subjectAltName={names}\n" if names else ""
        extensions.write_text(f"keyUsage=critical,digitalSignature\nextendedKeyUsage={usage}\n{more}")
        _openssl("req", "-new", "-key", key, "-subj", f"/CN={common_name}", "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-days", 30,
                 "-set_serial", f"0x{secrets.token_hex(8)}", "-extfile", extensions, "-out", certificate)
        return certificate, key

    @property
    def pem(self):
        return self.certificate.read_text()


class Serving:
    """Certificate and key of the metrics API, in two files, of an authority of its own."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.authority = Authority(directory, "serving-ca")
        self.certificate, self.key = self.directory / "serving.crt", self.directory / "serving.key"
        self.renew()

    def renew(self, key=True):
        """key=False: the key stays, and fits no more."""
        certificate, new_key = self.authority.issue(self.directory, "flotilla-metrics", SERVICE_NAMES, "serverAuth")
        if key:
            new_key.replace(self.key)
        certificate.replace(self.certificate)

    @property
    def options(self):
        return ["--metrics-api-listen=127.0.0.1:0", f"--metrics-api-cert={self.certificate}", f"--metrics-api-key={self.key}"]


def config_map(authority, names=("front-proxy",)):
    return {"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"},
            "data": {"requestheader-client-ca-file": authority.pem, "requestheader-allowed-names": json.dumps(list(names)),
                     "requestheader-username-headers": '["X-Remote-User"]'}}


def port_of(operator):
    line = operator.wait_log(lambda line: line.get("msg", "").startswith("metrics API on"), 30)
    return int(line["msg"].rpartition(":")[2])


class Proxy:
    """One that asks as the front proxy does, on one connection; `pair`: its certificate and key, or None."""

    def __init__(self, port, serving, pair):
        self.tls = ssl.create_default_context(cafile=str(serving.authority.certificate))
        if pair:
            self.tls.load_cert_chain(*map(str, pair))
        self.connection = http.client.HTTPSConnection("127.0.0.1", port, context=self.tls, timeout=20)

    def ask(self, path, method="GET", headers=None, **query):
        """(status, parsed body or None, headers)."""
        if query:
            path += "?" + urllib.parse.urlencode(query)
        try:
            self.connection.request(method, path, headers=USER if headers is None else headers)
            response = self.connection.getresponse()
            text = response.read()
        except OSError:
            self.connection.close()  # the next question opens another one
            raise
        return response.status, json.loads(text) if text else None, response.headers

    def serial(self):
        """Of the server's certificate, on the connection that is open."""
        return self.connection.sock.getpeercert()["serialNumber"]

    def close(self):
        self.connection.close()


def value_path(namespace, name="*", version="v1beta2", metric="workerclass_request",
               resource="workerclasses.scheduling.k8s.xxii.io"):
    return f"{GROUP}/{version}/namespaces/{namespace}/{resource}/{name}/{metric}"


# ---- on a control plane of a stack ----

MANIFESTS = REPO / "helm/flotilla/metrics-api"
VERSIONS = ("v1beta1", "v1beta2")


def manifests(serving, port):
    """What the provider creates (helm/flotilla/metrics-api), but for the Service: operators beside the cluster are no pods."""
    text = "".join(path.read_text() for path in sorted(MANIFESTS.glob("*.yaml")))
    bundle = base64.b64encode(serving.authority.pem.encode()).decode()
    made = list(yaml.safe_load_all(text.replace("${CA_BUNDLE}", bundle)))
    for item in made:
        if item["kind"] == "Service":
            item["spec"] = {"type": "ExternalName", "externalName": "localhost"}
        if item["kind"] == "APIService":
            item["spec"]["service"]["port"] = port
    return yaml.safe_dump_all(made)


def available(stack, version, group="custom.metrics.k8s.io"):
    found = stack.kubectl("get", "apiservice", f"{version}.{group}", "-o", "json", check=False)
    rows = json.loads(found.stdout)["status"].get("conditions", []) if found.returncode == 0 else []
    return any(row["type"] == "Available" and row["status"] == "True" for row in rows)


@contextlib.contextmanager
def created(stack, text, versions, group="custom.metrics.k8s.io"):
    """These manifests, with APIServices of those versions that are Available. Removed at the end: else no namespace could be deleted
    any more."""
    stack.kubectl("create", "-f", "-", stdin=text)
    try:
        for version in versions:
            eventually(lambda version=version: available(stack, version, group), 60, what=f"{version}.{group} is Available")
        yield
    finally:
        stack.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=text)


def installed(stack, serving, port):
    """The API server asks the operator at `port`."""
    return created(stack, manifests(serving, port), VERSIONS)
