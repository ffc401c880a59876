"""Who may do what: every row of routes.def is tried by everybody."""

import re
import time

from api import Api
from harness import REPO
from harness.wait import eventually

ROUTES = re.findall(
    r'^ROUTE\("(\w+)", +"([^"]+)", +(\w+),', (REPO / "server/http/routes.def").read_text(), re.MULTILINE)


def paths(tenant_path, registry, pipeline):
    for method, template, permission in ROUTES:
        resource = pipeline if "/pipelines/" in template else registry
        path = template.replace("/v1/tenants/{t}", tenant_path).replace("{id}", resource["id"])
        yield method, path, permission


def test_there_are_routes():
    assert len(ROUTES) >= 20


def test_nobody_enters_without_a_key(service, tenant):
    nobody = Api(service.port, None)
    for method, path, permission in paths(tenant.path, tenant.create().json, tenant.create_pipeline().json):
        answer = nobody.call(method, path)
        if answer.status == 429:  # so many in a row are taken for guesses
            time.sleep(int(answer.headers["Retry-After"]))
            answer = nobody.call(method, path)
        assert (answer.status == 401) == (permission != "PUBLIC"), (method, path, answer.status)


def test_another_tenants_things_do_not_exist(service, tenant, other):
    registry, pipeline = other.create().json, other.create_pipeline().json
    before = service.counts()
    unknown = [{"id": f"{kind}_00000000000000000000000000"} for kind in ("reg", "pl")]
    tried = 0
    for (method, path, permission), (_, never, _) in zip(
        paths(other.path, registry, pipeline), paths("/v1/tenants/tn_00000000000000000000000000", *unknown)
    ):
        if permission != "TENANT":
            continue
        body = {} if method in ("POST", "PATCH") else None
        theirs, none = (tenant.api.call(method, where, body) for where in (path, never))
        assert theirs.status == none.status == 404, (method, path, theirs.body)
        same = [{**a.json, "instance": "", "requestId": ""} for a in (theirs, none)]
        assert same[0] == same[1], "an answer tells apart what exists from what does not"
        tried += 1
    assert tried >= 14 and service.counts() == before
    for method, path, _ in paths(tenant.path, registry, pipeline):
        if path.endswith((registry["id"], pipeline["id"])) and method == "GET":
            assert tenant.api.call(method, path).status == 404, "their id below our own path"


def test_the_providers_routes_are_the_providers(tenant):
    tried = 0
    for method, path, permission in paths(tenant.path, tenant.create().json, tenant.create_pipeline().json):
        if permission == "PROVIDER":
            answer = tenant.api.call(method, path, {} if method == "POST" else None)
            assert (answer.status, answer.json["code"]) == (403, "Forbidden"), (method, path)
            tried += 1
    assert tried >= 5


def test_a_revoked_key_dies_within_five_seconds(service):
    tenant = service.tenant()
    made = tenant.api.post(f"{tenant.path}/api-keys", {"name": "old"}).json
    old = Api(service.port, made["key"])
    assert old.get(tenant.path).status == 200
    assert tenant.api.call("DELETE", f"{tenant.path}/api-keys/{made['id']}").status == 204
    revoked = time.monotonic()
    assert tenant.api.call("DELETE", f"{tenant.path}/api-keys/{made['id']}").status == 204
    asked, status = revoked, 200
    while status == 200:
        assert asked - revoked <= 5, "who asks later than that is refused, however late the answer comes"
        time.sleep(0.05)
        asked = time.monotonic()
        status = old.get(tenant.path).status
    eventually(lambda: old.get(tenant.path).status == 401, what="or 429, while it counts as one guess too many")
    assert made["id"] not in [item["id"] for item in tenant.api.get(f"{tenant.path}/api-keys").json["items"]]


def test_cells_and_plans(service, tenant):
    made = service.provider.post("/v1/cells", {"name": "c1", "kubeconfig": "c1.kubeconfig", "capacity": 7})
    assert made.status == 201 and made.json["state"] == "open"
    again = service.provider.post("/v1/cells", {"name": "c1", "kubeconfig": "c1.kubeconfig"})
    assert (again.status, again.codes) == (409, [("/name", "NameTaken")])
    assert [cell["name"] for cell in service.provider.get("/v1/cells").json["items"]] == ["c1"]
    assert [plan["name"] for plan in tenant.api.get("/v1/plans").json["items"]] == ["s", "m", "l"]


def test_guessing_keys_is_slowed_down(service):
    guesser = Api(service.port, "flk_aaaaaaaa_" + "a" * 52)
    eventually(lambda: guesser.get("/v1/plans").status == 401, what="tests before this one guessed, too")
    limited = next(answer for answer in (guesser.get("/v1/plans") for _ in range(40)) if answer.status == 429)
    assert int(limited.headers["Retry-After"]) >= 1


def test_guesses_do_not_lock_out_who_has_a_key(service, tenant):
    """Behind a proxy everybody has one address."""
    made = tenant.api.post(f"{tenant.path}/api-keys", {"name": "fresh"}).json
    guesser = Api(service.port, "flk_aaaaaaaa_" + "a" * 52)

    def is_limited(api, tries):
        """One guess in a second is let through again."""
        return 429 in [api.get(tenant.path).status for _ in range(tries)]

    assert is_limited(guesser, 40)
    assert tenant.api.get(tenant.path).status == 200
    fresh = Api(service.port, made["key"])
    assert fresh.get(tenant.path).status == 200, "a right key that this process never saw before"
    assert is_limited(guesser, 10), "a right key does not fill the bucket again"
    near = Api(service.port, tenant.api.key[:-1] + ("a" if tenant.api.key[-1] != "a" else "b"))
    assert is_limited(near, 10), "a wrong secret with a known prefix is a guess like any other"


def test_all_keys_of_a_tenant_share_one_rate(service, tenant, other, tmp_path):
    from conftest import Service  # pylint: disable=import-outside-toplevel

    keys = [tenant.api.post(f"{tenant.path}/api-keys", {"name": "more"}).json["key"] for _ in range(8)]
    slow = Service(service.database, tmp_path, {"FLOTILLA_REQUESTS_PER_SECOND": "2"}, service.provider.key)
    try:
        statuses = [Api(slow.port, key).get(tenant.path).status for key in keys]
        assert statuses[0] == 200 and 429 in statuses
        assert Api(slow.port, other.api.key).get(other.path).status == 200
    finally:
        assert slow.process.stop() == 0
