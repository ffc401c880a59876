"""New credentials for old, as a customer asks for them."""

from test_registries import observe

KINDS = ["database", "redis", "s3", "registry", "internal"]


def path_of(tenant, registry):
    return f"{tenant.path}/registries/{registry['id']}"


def numbers(service, registry):
    return service.database.value("SELECT credentials FROM resource WHERE id = %s", registry["id"])


def rotate(tenant, registry, body=None, **headers):
    return tenant.api.call("POST", f"{path_of(tenant, registry)}:rotate-credentials", body, headers=headers)


def test_a_rotation_is_an_operation(service, tenant):
    registry = tenant.create().json
    observe(service, registry, "ready", 1)
    answer = rotate(tenant, registry)
    assert (answer.status, answer.json["generation"], answer.json["spec"]) == (202, 2, registry["spec"])
    operation = tenant.api.get(answer.headers["Operation-Location"]).json
    assert (operation["kind"], operation["status"], operation["requestedGeneration"]) == ("rotate", "pending", 2)
    assert numbers(service, registry) == {kind: 2 for kind in KINDS}
    assert service.database.value("SELECT generation FROM outbox WHERE resource_id = %s", registry["id"]) == 2
    audit = service.database.query("SELECT action, detail -> 'credentials' FROM audit_event WHERE resource_id = %s ORDER BY id",
                                   registry["id"])
    assert audit[-1] == ("registry.rotate", KINDS)


def test_kinds_that_are_named_and_no_others(service, tenant):
    registry = tenant.create().json
    assert rotate(tenant, registry, {"credentials": {"redis": True, "s3": False}}).status == 202
    assert numbers(service, registry) == {"redis": 2}
    assert rotate(tenant, registry, {}).status == 202
    assert rotate(tenant, registry, {"credentials": {"s3": True, "redis": True}}).status == 202
    assert numbers(service, registry) == {"database": 3, "redis": 4, "s3": 4, "registry": 3, "internal": 3}
    tenant.api.call("PATCH", path_of(tenant, registry), {"spec": {"plan": "m"}})
    assert numbers(service, registry)["redis"] == 4, "other changes ask for nothing"


def test_the_same_key_asks_once(service, tenant):
    registry = tenant.create().json
    answers = [rotate(tenant, registry, {"credentials": {"redis": True}}, **{"Idempotency-Key": f"once-{registry['id']}"})
               for _ in range(2)]
    assert [answer.status for answer in answers] == [202, 202] and answers[1].headers["Idempotency-Replayed"] == "true"
    assert answers[0].headers["Operation-Location"] == answers[1].headers["Operation-Location"]
    assert numbers(service, registry) == {"redis": 2}
    stale = rotate(tenant, registry, None, **{"If-Match": '"g1"'})
    assert (stale.status, numbers(service, registry)) == (412, {"redis": 2})


def test_what_is_closed_is_refused(service, tenant):
    registry = tenant.create().json
    path = path_of(tenant, registry)
    tenant.api.call("DELETE", path)
    closed = rotate(tenant, registry)
    assert (closed.status, closed.json["code"]) == (409, "Closed")
    service.provider.call("DELETE", f"{path}?graceSeconds=0")
    late = rotate(tenant, registry)
    assert (late.status, late.json["code"]) == (409, "PurgeStarted")
    assert numbers(service, registry) == {}
    other = service.tenant()
    assert rotate(other, {"id": registry["id"]}).status == 404, "another tenant's does not exist"
