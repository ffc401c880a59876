"""A running `flotillad serve` over a fresh database, with a provider and two tenants."""

import itertools
import pathlib
import re
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from api import Api  # noqa: E402
from harness.process import Flotillad, base_env, binary  # noqa: E402

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def stack_without():
    return ("kube", "kwok", "pg-pool", "redis-pool", "s3-pool")


class Tenant:
    """A tenant with an API key of its own."""

    def __init__(self, service, name):
        self.service = service
        self.id = service.provider.post("/v1/tenants", {"name": name, "registryLimit": 1000}).json["id"]
        self.path = f"/v1/tenants/{self.id}"
        made = service.provider.post(f"{self.path}/api-keys", {"name": "test"})
        self.key_id = made.json["id"]
        self.api = Api(service.port, made.json["key"])

    def body(self, **spec):
        number = next(_numbers)
        return {"name": f"r{number}", "spec": {"plan": "s", "host": f"r{number}.example.com", **spec}}

    def create(self, **spec):
        answer = self.api.post(f"{self.path}/registries", self.body(**spec))
        assert answer.status == 202, answer.body
        return answer


    def pipeline_body(self, rate=10, workers=None, **more):
        line = {"first": {"class": "blue", "next": ["second"]}, "second": {"class": "green"}}
        spec = {"documentsPerSecond": rate, "workers": workers or line, **more}
        return {"name": f"p{next(_numbers)}", "spec": spec}

    def create_pipeline(self, *args, **more):
        answer = self.api.post(f"{self.path}/pipelines", self.pipeline_body(*args, **more))
        assert answer.status == 202, answer.body
        return answer


def bootstrap_key(database, directory):
    made = subprocess.run([binary(), "bootstrap-key"], env={**base_env(directory), **database.env()},
                          capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return re.search(r"flk_[a-z2-7]{8}_[a-z2-7]{52}", made.stdout)[0]


class Service:
    """A running server; `key` is an API key of the provider, made when there is none yet."""

    def __init__(self, database, directory, env=None, key=None):
        self.database = database
        env = {**database.env(), "FLOTILLA_LISTEN": "127.0.0.1:0", **(env or {})}
        self.process = Flotillad(["serve"], env, directory)
        line = self.process.wait_log(lambda entry: re.search(r"127\.0\.0\.1:\d+", entry.get("msg", "")))
        self.port = int(re.search(r"127\.0\.0\.1:(\d+)", line["msg"])[1])
        self.provider = Api(self.port, key or bootstrap_key(database, directory))

    def tenant(self):
        return Tenant(self, f"tenant {next(_numbers)}")

    def counts(self):
        """Rows of what a request can leave behind."""
        tables = ("tenant", "api_key", "cell", "resource", "resource_status", "operation", "outbox", "audit_event",
                  "idempotency_key", "preview")
        return {table: self.database.value(f"SELECT count(*) FROM {table}") for table in tables}


@pytest.fixture(scope="module")
def service(fleet_db, tmp_path_factory):
    running = Service(fleet_db, tmp_path_factory.mktemp("serve"))
    yield running
    status = running.process.stop()
    reports = running.process.sanitizer_reports()
    assert status == 0 and not reports, (status, reports, running.process.logs[-3:])


@pytest.fixture(scope="module")
def tenant(service):
    return service.tenant()


@pytest.fixture(scope="module")
def other(service):
    return service.tenant()
