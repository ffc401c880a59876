"""The life of a registry as its customer sees it; the fleet's side is played with the fleet's role."""

from concurrent.futures import ThreadPoolExecutor


def observe(service, registry, phase, generation):
    """What the collector writes."""
    service.database.query(
        "UPDATE resource_status SET phase = %s, observed_generation = %s, drift = 'in_sync' WHERE resource_id = %s",
        phase, generation, registry["id"], role="fleet",
    )


def test_create_answers_where_to_look(service, tenant):
    answer = tenant.create(plan="m")
    registry = answer.json
    assert answer.headers["Location"] == f"{tenant.path}/registries/{registry['id']}"
    assert answer.headers["ETag"] == '"g1"'
    assert registry["spec"] == {
        "plan": "m", "version": "2.15.2", "host": registry["spec"]["host"], "lifecycle": "active", "purgeAfter": None,
        "components": {"trivy": False, "exporter": False},
    }
    assert registry["status"]["phase"] == "creating"
    assert "placement" not in registry
    operation = tenant.api.get(answer.headers["Operation-Location"]).json
    assert (operation["status"], operation["kind"]) == ("pending", "create")
    assert operation["resource"]["id"] == registry["id"]
    assert [item["id"] for item in registry["currentOperations"]] == [operation["id"]]
    row = service.database.query("SELECT identity, namespace FROM resource WHERE id = %s", registry["id"])[0]
    assert len(row[0]) == 16 and row[1] == "reg-" + registry["id"][4:]
    assert service.database.value("SELECT generation FROM outbox WHERE resource_id = %s", registry["id"]) == 1
    audit = service.database.query("SELECT action, actor FROM audit_event WHERE resource_id = %s", registry["id"])
    assert audit == [("registry.create", f"key:{tenant.key_id}")]


def test_the_provider_sees_where_it_is(service, tenant):
    registry = tenant.create().json
    seen = service.provider.get(f"{tenant.path}/registries/{registry['id']}").json
    assert seen["placement"]["namespace"] == "reg-" + registry["id"][4:]


def test_messages_about_the_providers_servers_are_the_providers(service, tenant):
    registry = tenant.create().json
    told = '[{"type": "BackendsReady", "status": "False", "reason": "Unreachable", "message": "10.0.0.5: refused"}]'
    service.database.query("UPDATE resource_status SET reason = 'Unreachable', message = '10.0.0.5: refused',"
                           " conditions = %s WHERE resource_id = %s", told, registry["id"], role="fleet")
    path = f"{tenant.path}/registries/{registry['id']}"
    for body in (tenant.api.get(path).json, tenant.api.get(f"{tenant.path}/registries").json["items"][-1]):
        assert body["status"]["reason"] == "Unreachable" and body["status"]["message"] is None
        assert body["status"]["conditions"] == [{"type": "BackendsReady", "status": "False", "reason": "Unreachable"}]
    assert "10.0.0.5" in service.provider.get(path).json["status"]["message"]


def test_what_is_stored_is_shown(service, tenant):
    registry = tenant.create().json
    assert registry["usage"] is None
    told = '{"storageBytes": 5368709120, "limitBytes": 107374182400, "observedAt": "2026-11-28T10:00:00Z"}'
    service.database.query("UPDATE resource_status SET usage = %s WHERE resource_id = %s", told, registry["id"], role="fleet")
    path = f"{tenant.path}/registries/{registry['id']}"
    for body in (tenant.api.get(path).json, tenant.api.get(f"{tenant.path}/registries").json["items"][-1]):
        assert body["usage"]["storageBytes"] == 5 << 30 and body["usage"]["limitBytes"] == 100 << 30


def test_version_that_runs_is_told_and_a_hop_withdrawn(service, tenant):
    registry = tenant.create(version="2.14.4").json
    path = f"{tenant.path}/registries/{registry['id']}"

    def wants(version):
        return tenant.api.call("PATCH", path, {"spec": {"version": version}})

    assert registry["status"]["version"] is None
    assert wants("2.15.2").status == 202
    assert wants("2.14.4").codes == [("/spec/version", "VersionDowngrade")], "nobody knows yet what runs"
    service.database.query("UPDATE resource_status SET version = '2.14.4' WHERE resource_id = %s", registry["id"], role="fleet")
    seen = tenant.api.get(path).json
    assert (seen["spec"]["version"], seen["status"]["version"]) == ("2.15.2", "2.14.4")
    assert wants("2.13.5").codes == [("/spec/version", "VersionDowngrade")]
    withdrawn = wants("2.14.4")
    assert (withdrawn.status, withdrawn.json["spec"]["version"], withdrawn.json["generation"]) == (202, "2.14.4", 3)


def test_components_go_on_and_off(service, tenant):
    registry = tenant.create().json
    path = f"{tenant.path}/registries/{registry['id']}"
    changed = tenant.api.call("PATCH", path, {"spec": {"components": {"trivy": True}}})
    assert (changed.status, changed.json["spec"]["components"]) == (202, {"trivy": True, "exporter": False})
    same = tenant.api.call("PATCH", path, {"spec": {"components": {"trivy": True}}})
    assert (same.status, same.json["generation"]) == (200, 2)


def test_patch_supersedes_and_coalesces(service, tenant):
    registry = tenant.create().json
    path = f"{tenant.path}/registries/{registry['id']}"
    first = tenant.api.call("PATCH", path, {"spec": {"plan": "m"}}, headers={"If-Match": '"g1"'})
    assert (first.status, first.headers["ETag"]) == (202, '"g2"')
    second = tenant.api.call("PATCH", path, {"spec": {"plan": "l"}})
    assert second.json["generation"] == 3
    same = tenant.api.call("PATCH", path, {"spec": {"plan": "l"}})
    assert (same.status, same.json["generation"]) == (200, 3)
    operation = tenant.api.get(first.headers["Operation-Location"]).json
    assert operation["status"] == "superseded" and operation["finishedAt"]
    assert service.database.query("SELECT generation FROM outbox WHERE resource_id = %s", registry["id"]) == [(3,)]


def test_if_none_match_is_of_the_desired_side(service, tenant):
    registry = tenant.create().json
    path = f"{tenant.path}/registries/{registry['id']}"
    assert tenant.api.get(path, headers={"If-None-Match": '"g1"'}).status == 304
    observe(service, registry, "ready", 1)
    answer = tenant.api.get(path)
    assert (answer.headers["ETag"], answer.json["status"]["phase"]) == ('"g1"', "ready")
    tenant.api.call("PATCH", path, {"spec": {"plan": "m"}})
    assert tenant.api.get(path, headers={"If-None-Match": '"g1"'}).json["status"]["phase"] == "updating"


def test_close_undo_close_purge(service, tenant):
    registry = tenant.create().json
    path = f"{tenant.path}/registries/{registry['id']}"
    observe(service, registry, "ready", 1)
    closed = tenant.api.call("DELETE", path)
    assert closed.status == 202 and closed.json["spec"]["lifecycle"] == "closed"
    assert closed.json["spec"]["purgeAfter"]
    again = tenant.api.call("DELETE", path)
    assert (again.status, again.json["generation"]) == (202, 2)
    assert again.headers["Operation-Location"] == closed.headers["Operation-Location"]
    changed = tenant.api.call("PATCH", path, {"spec": {"plan": "l"}})
    assert (changed.status, changed.json["code"]) == (409, "Closed"), "no operation that cannot end"
    assert tenant.api.get(closed.headers["Operation-Location"]).json["status"] == "pending", "the close goes on"
    undone = tenant.api.post(f"{path}:undo")
    assert (undone.status, undone.json["spec"]["lifecycle"], undone.json["generation"]) == (202, "active", 3)
    assert tenant.api.post(f"{path}:undo").json["generation"] == 3
    purged = service.provider.call("DELETE", f"{path}?graceSeconds=0")
    assert purged.json["status"]["phase"] == "deleting"
    late = tenant.api.post(f"{path}:undo")
    assert (late.status, late.json["code"]) == (409, "PurgeStarted")
    assert tenant.api.call("PATCH", path, {"spec": {"plan": "l"}}).status == 409
    service.database.query(
        "UPDATE resource SET purge_started_at = now(), deleted_at = now() WHERE id = %s", registry["id"], role="fleet")
    gone = tenant.api.get(path)
    assert (gone.status, gone.json["code"]) == (410, "RegistryPurged")
    listed = tenant.api.get(f"{tenant.path}/registries?limit=500").json["items"]
    assert registry["id"] not in [item["id"] for item in listed]
    name = {"name": registry["name"], "spec": {"plan": "s", "host": registry["spec"]["host"]}}
    assert tenant.api.post(f"{tenant.path}/registries", name).status == 202, "the name is free again"


def test_nothing_is_accepted_that_a_diverged_row_would_not_carry_out(service, tenant):
    registry = tenant.create().json
    path = f"{tenant.path}/registries/{registry['id']}"
    observe(service, registry, "ready", 1)
    service.provider.call("DELETE", f"{path}?graceSeconds=0")
    service.database.query("UPDATE resource SET state = 'diverged' WHERE id = %s", registry["id"], role="fleet")
    for method, where, body in (("PATCH", path, {"spec": {"plan": "l"}}), ("DELETE", path, None), ("POST", f"{path}:undo", None)):
        answer = tenant.api.call(method, where, body)
        assert (answer.status, answer.json["code"]) == (409, "Diverged"), method
    shown = tenant.api.get(path).json
    assert (shown["generation"], shown["status"]["phase"], shown["status"]["reason"]) == (2, "error", "Diverged")


def test_pages_hold_everything_once(service):
    tenant = service.tenant()
    made = [tenant.create().json["id"] for _ in range(7)]
    seen, path = [], f"{tenant.path}/registries?limit=3"
    while path:
        answer = tenant.api.get(path)
        seen += [item["id"] for item in answer.json["items"]]
        cursor = answer.json["nextCursor"]
        path = cursor and f"{tenant.path}/registries?limit=3&cursor={cursor}"
        assert bool(cursor) == ("Link" in answer.headers)
    assert seen == made
    cursor = tenant.api.get(f"{tenant.path}/registries?limit=3").json["nextCursor"]
    stranger = service.provider.get(f"{tenant.path}/registries?limit=3&cursor={cursor}")
    assert stranger.status == 400, "a cursor belongs to the key that got it"
    assert tenant.api.get(f"{tenant.path}/api-keys?cursor={cursor}").status == 400


def test_changes_at_the_same_time_lose_nothing(service, tenant):
    registry = tenant.create().json
    path = f"{tenant.path}/registries/{registry['id']}"
    plans = ["m", "l"] * 8
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda plan: tenant.api.call("PATCH", path, {"spec": {"plan": plan}}), plans))
    assert {answer.status for answer in answers} <= {200, 202}
    changes = sum(answer.status == 202 for answer in answers)
    assert tenant.api.get(path).json["generation"] == 1 + changes
    audit = service.database.value(
        "SELECT count(*) FROM audit_event WHERE resource_id = %s AND action = 'registry.update'", registry["id"])
    assert audit == changes
    open_operations = service.database.value(
        "SELECT count(*) FROM operation WHERE resource_id = %s AND finished_at IS NULL", registry["id"])
    assert open_operations == 1


def test_status_comes_from_counters(service):
    def phases():
        return service.provider.get("/v1/status").json["registries"]

    tenant = service.tenant()
    before = phases()
    registries = [tenant.create().json for _ in range(3)]
    assert phases()["total"] == before["total"] + 3
    for registry in registries:
        observe(service, registry, "ready", 1)
    after = phases()
    assert after["byPhase"]["ready"] == before["byPhase"].get("ready", 0) + 3
    counted = dict(service.database.query("SELECT phase, count(*) FROM resource_status GROUP BY phase"))
    assert after["byPhase"] == counted
