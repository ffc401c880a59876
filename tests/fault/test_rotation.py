"""Whoever dies before or after any step of a rotation: what pods are told opens everything all the while, and the end is one."""

import psycopg2
import pytest
from harness import pools
from harness.cell import SHORT_LEASES, bury
from harness.cluster import Cluster
from harness.wait import eventually
from harness.world import World

SIDES = ("before", "after")
KINDS = ("database", "redis", "s3", "registry", "internal")
DEATHS_MAX = 24


@pytest.fixture
def world(stack, tmp_path):
    running = World(stack, tmp_path, SHORT_LEASES).up()
    yield running
    running.down()


class Rotated:
    """A registry of the fleet, and the credentials that are told to pods and to people."""

    def __init__(self, world, cluster):
        self.world, self.cluster = world, cluster
        self.id = world.create("rotated")
        world.wait_phase(self.id, "ready")
        self.namespace, self.identity = world.db.query("SELECT namespace, identity FROM resource WHERE id = %s", self.id)[0]

    def told(self):
        return pools.decoded(self.cluster.get("secrets", "rotated-backends", self.namespace))

    def kept(self):
        return pools.decoded(self.cluster.get("secrets", f"registry-{self.identity}", "flotilla-system"))

    def open_everything(self, told):
        env = self.world.stack.env
        psycopg2.connect(host=env["POOL_PG_HOST"], port=env["POOL_PG_PORT"], dbname=told["databaseName"],
                         user=told["databaseUser"], password=told["databasePassword"]).close()
        pools.Redis(env, told["redisUser"], told["redisPassword"]).close()
        pools.Store(env, told["s3AccessKey"], told["s3SecretKey"]).objects(told["s3Bucket"])

    def phases(self):
        status = self.cluster.get("registries", "rotated", self.namespace)["status"]
        return {row["kind"]: row["phase"] for row in status.get("credentials", [])}


def test_every_step_may_be_the_last_of_its_process(world):
    registry = Rotated(world, Cluster(world.stack))
    before, kept = registry.told(), registry.kept()
    world.stop("operate")
    operation = world.tenant_api.ok("POST", f"{world.path(registry.id)}:rotate-credentials")["currentOperations"][-1]["id"]

    def status():
        return world.tenant_api.get(f"/v1/tenants/{world.tenant}/operations/{operation}")["status"]

    deaths = 0
    while status() != "succeeded":
        assert deaths < DEATHS_MAX, f"no end after {deaths} deaths: {registry.phases()}"
        point = f"kube.secret.rotate.{SIDES[deaths % 2]}=kill"
        process = world.start("operate", env={"FLOTILLA_FAILPOINTS": point}, wait=False)
        eventually(lambda: process.process.poll() is not None or status() == "succeeded", 60, 0.2, "a death, or the end")
        deaths += process.process.poll() is not None
        registry.open_everything(registry.told())
        if process.process.poll() is not None:
            world.stop("operate")
            bury(registry)
    assert deaths >= 2 * 4, "it died before and after each of four steps"
    after = registry.kept()
    assert registry.phases() == {kind: "Current" for kind in KINDS} and not [key for key in after if key.endswith("Other")]
    registry.open_everything(registry.told())
    for change in ({"databaseUser": before["databaseUser"], "databasePassword": before["databasePassword"]},
                   {"redisPassword": before["redisPassword"]},
                   {"s3AccessKey": before["s3AccessKey"], "s3SecretKey": before["s3SecretKey"]}):
        with pytest.raises((psycopg2.OperationalError, pools.Refused)):
            registry.open_everything({**registry.told(), **change})
    assert {key for key in kept if kept[key] == after[key]} == {"secretKey", "adminPassword", "robotSecret"}
