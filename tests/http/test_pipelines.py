"""Pipelines over HTTP: what is answered at once, what is written, what a dry run leaves behind."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness.wait import eventually

GRAPH = {"first": {"class": "blue", "next": ["second"]}, "second": {"class": "green"}}


@pytest.fixture
def small(service):
    """A tenant that may have three pipelines, and 100 documents per second in all."""
    tenant = service.tenant()
    answer = service.provider.call("PATCH", tenant.path, {"pipelineLimit": 3, "documentLimit": 100})
    assert (answer.status, answer.json["pipelineLimit"], answer.json["documentLimit"]) == (200, 3, 100)
    return tenant


def order(tenant, *args, **more):
    return tenant.api.post(f"{tenant.path}/pipelines", tenant.pipeline_body(*args, **more))


def path_of(tenant, pipeline):
    return f"{tenant.path}/pipelines/{pipeline['id']}"


def refused(answer):
    assert (answer.status, answer.json["code"]) == (403, "QuotaExceeded"), answer.body
    return answer.json["detail"]


def test_a_create_is_accepted_with_all_that_belongs_to_it(service, tenant):
    answer = tenant.create_pipeline(rate=25, priority=3)
    made = answer.json
    assert made["spec"] == {"documentsPerSecond": 25, "priority": 3, "workers": GRAPH}
    assert made["status"]["phase"] == "creating" and made["generation"] == 1 and "placement" not in made
    assert answer.headers["ETag"] == '"g1"' and answer.headers["Location"] == path_of(tenant, made)
    operation = tenant.api.get(answer.headers["Operation-Location"]).json
    assert (operation["kind"], operation["status"]) == ("create", "pending")
    assert operation["resource"] == {"type": "pipeline", "id": made["id"], "href": path_of(tenant, made)}
    assert service.database.value("SELECT generation FROM outbox WHERE resource_id = %s", made["id"]) == 1
    audit = service.database.query("SELECT action, actor FROM audit_event WHERE resource_id = %s", made["id"])
    assert audit == [("pipeline.create", f"key:{tenant.key_id}")]
    assert not service.database.query("SELECT 1 FROM sealed_secret WHERE owner_id = %s", made["id"])
    seen = service.provider.get(path_of(tenant, made)).json
    assert seen["placement"]["namespace"] == "tn-" + tenant.id[3:]
    same = tenant.api.get(path_of(tenant, made), headers={"If-None-Match": answer.headers["ETag"]})
    assert (same.status, same.body) == (304, b"")


def test_lists_hold_one_kind_of_one_tenant(tenant, other):
    theirs, registry = other.create_pipeline().json, tenant.create().json
    mine = [tenant.create_pipeline().json["id"] for _ in range(3)]
    page = tenant.api.get(f"{tenant.path}/pipelines?limit=2").json
    seen = [item["id"] for item in page["items"]]
    while page["nextCursor"]:
        page = tenant.api.get(f"{tenant.path}/pipelines?limit=2&cursor={page['nextCursor']}").json
        seen += [item["id"] for item in page["items"]]
    assert set(mine) <= set(seen) and seen == sorted(seen) and theirs["id"] not in seen and registry["id"] not in seen
    assert {item["id"][:4] for item in tenant.api.get(f"{tenant.path}/registries").json["items"]} == {"reg_"}
    for crossed in (f"{tenant.path}/pipelines/{registry['id']}", f"{tenant.path}/registries/{mine[0]}",
                    f"{tenant.path}/pipelines/{theirs['id']}"):
        for method, body in (("GET", None), ("PATCH", {}), ("DELETE", None)):
            assert tenant.api.call(method, crossed, body).status == 404, (method, crossed)


def test_a_name_is_free_for_the_other_kind_and_for_another_tenant(tenant, other):
    registry = tenant.create().json
    body = {**tenant.pipeline_body(), "name": registry["name"]}
    assert tenant.api.post(f"{tenant.path}/pipelines", body).status == 202
    assert other.api.post(f"{other.path}/pipelines", body).status == 202
    again = tenant.api.post(f"{tenant.path}/pipelines", body)
    assert (again.status, again.codes) == (409, [("/name", "NameTaken")])


def test_one_idempotency_key_makes_one(service, tenant):
    body = tenant.pipeline_body()
    before = service.counts()["resource"]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: tenant.api.post(f"{tenant.path}/pipelines", body,
                                                          headers={"Idempotency-Key": "line"}), range(6)))
    assert {answer.status for answer in answers} == {202} and len({answer.json["id"] for answer in answers}) == 1
    assert service.counts()["resource"] == before + 1
    changed = {**body, "spec": {**body["spec"], "documentsPerSecond": 11}}
    reused = tenant.api.post(f"{tenant.path}/pipelines", changed, headers={"Idempotency-Key": "line"})
    assert (reused.status, reused.json["code"]) == (422, "IdempotencyKeyReused")


def test_the_rate_changes_and_nothing_else(service, tenant):
    made = tenant.create_pipeline(rate=10).json
    path = path_of(tenant, made)
    answer = tenant.api.call("PATCH", path, {"spec": {"documentsPerSecond": 20}}, headers={"If-Match": '"g1"'})
    assert (answer.status, answer.json["generation"], answer.json["spec"]["documentsPerSecond"]) == (202, 2, 20)
    assert tenant.api.get(answer.headers["Operation-Location"]).json["kind"] == "update"
    stale = tenant.api.call("PATCH", path, {"spec": {"documentsPerSecond": 30}}, headers={"If-Match": '"g1"'})
    assert stale.status == 412
    same = tenant.api.call("PATCH", path, {"name": made["name"], "spec": {**made["spec"], "documentsPerSecond": 20}})
    assert (same.status, same.json["generation"]) == (200, 2) and "Operation-Location" not in same.headers
    before = service.counts()
    for body, pointer, code in (
        ({"name": "other"}, "/name", "Immutable"),
        ({"spec": {"priority": 9}}, "/spec/priority", "Immutable"),
        ({"spec": {"workers": {"first": {"class": "red"}}}}, "/spec/workers", "Immutable"),
        ({"spec": {"workers": None}}, "/spec/workers", "Required"),
        ({"spec": {"documentsPerSecond": None}}, "/spec/documentsPerSecond", "Required"),
        ({"spec": {"documentsPerSecond": "20"}}, "/spec/documentsPerSecond", "WrongType"),
        ({"spec": {"documentsPerSecond": -1}}, "/spec/documentsPerSecond", "OutOfRange"),
        ({"generation": 9}, "/generation", "ReadOnly"),
    ):
        wrong = tenant.api.call("PATCH", path, body)
        assert (wrong.status, wrong.codes) == (400, [(pointer, code)]), body
    assert service.counts() == before


def asked(tenant, body, api=None, **more):
    return (api or tenant.api).post(f"{tenant.path}/pipelines?dryRun=true", body, **more)


def test_a_dry_run_leaves_a_question_and_nothing_else(service, small, other):
    before, body = service.counts(), small.pipeline_body(rate=100)
    answer = asked(small, body, headers={"Idempotency-Key": "dry"})
    assert answer.status == 202 and "ETag" not in answer.headers, answer.body
    made, path = answer.json, answer.headers["Operation-Location"]
    assert path == answer.headers["Location"] == f"{small.path}/operations/{made['id']}"
    assert (made["kind"], made["status"], made["resource"], made["result"]) == ("preview", "pending", None, None)
    assert small.api.get(path).json == made == service.provider.get(path).json
    for crossed in (path, f"{other.path}/operations/{made['id']}"):
        assert other.api.get(crossed).status == 404, "of another tenant"
    after = service.counts()
    assert {table for table in after if after[table] != before[table]} == {"operation", "preview"}
    kept = service.database.query("SELECT name, spec FROM preview WHERE operation_id = %s", made["id"])
    assert kept == [(body["name"], {**body["spec"], "priority": 0})]
    assert order(small, rate=100).status == 202, "it used no quota"
    real = small.api.post(f"{small.path}/pipelines?dryRun=false", small.pipeline_body(rate=0), headers={"Idempotency-Key": "dry"})
    assert real.status == 202, "its key is still free"
    assert service.provider.post(f"/v1/tenants/tn_{'0' * 26}/pipelines?dryRun=true", body).status == 404


def test_questions_are_not_without_end(service, small):
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: asked(small, small.pipeline_body(rate=1)), range(14)))
    assert sorted(answer.status for answer in answers) == [202] * 10 + [429] * 4
    late = next(answer for answer in answers if answer.status == 429)
    assert (late.json["code"], late.headers["Retry-After"], late.json["retryable"]) == ("TooManyPreviews", "10", True)
    refused(asked(small, small.pipeline_body(rate=101)))
    service.database.query("DELETE FROM preview WHERE tenant_id = %s", small.id, role="fleet")
    service.database.query(
        "INSERT INTO operation (id, tenant_id, kind, requested_generation, actor, status, finished_at)"
        " SELECT 'op_' || lpad(n::text, 26, '0'), %s, 'preview', 1, 'x', 'succeeded', now() FROM generate_series(1, 190) n", small.id)
    assert asked(small, small.pipeline_body(rate=1)).json["code"] == "TooManyPreviews"


def test_an_answer_is_the_tenant_s_and_placement_the_provider_s(service, small):
    made = asked(small, small.pipeline_body()).json
    path = f"{small.path}/operations/{made['id']}"
    service.database.query(
        "UPDATE operation SET status = 'succeeded', finished_at = now(), result = %s WHERE id = %s",
        '{"placed": true, "placement": {"cell": "c"}}', made["id"], role="fleet")
    assert small.api.get(path).json["result"] == {"placed": True}
    assert service.provider.get(path).json["result"] == {"placed": True, "placement": {"cell": "c"}}
    service.database.query("UPDATE operation SET status = 'failed', result = NULL, error = %s WHERE id = %s",
                           '{"code": "CellUnreachable", "detail": "cell c: 10.0.0.1", "placement": {"cell": "c"}}', made["id"], role="fleet")
    assert small.api.get(f"{path}?wait=5").json["error"] == {"code": "CellUnreachable"}
    assert service.provider.get(path).json["error"].keys() == {"code", "detail", "placement"}


def test_a_dry_run_of_a_change_answers_alike_and_leaves_nothing(service, small):
    made = small.create_pipeline(rate=40).json
    path, before = path_of(small, made), service.counts()
    body = small.pipeline_body(rate=60)
    refused(small.api.post(f"{small.path}/pipelines?dryRun=true", small.pipeline_body(rate=61)))
    taken = small.api.post(f"{small.path}/pipelines?dryRun=true", {**body, "name": made["name"]})
    assert (taken.status, taken.codes) == (409, [("/name", "NameTaken")])
    circle = {"a": {"class": "x", "next": ["a"]}}
    drawn = small.api.post(f"{small.path}/pipelines?dryRun=true", small.pipeline_body(workers=circle))
    assert (drawn.status, drawn.codes) == (400, [("/spec/workers/a", "Cycle")])
    faster = small.api.call("PATCH", f"{path}?dryRun=true", {"spec": {"documentsPerSecond": 100}})
    assert (faster.status, faster.json["generation"], faster.json["spec"]["documentsPerSecond"]) == (200, 2, 100)
    refused(small.api.call("PATCH", f"{path}?dryRun=true", {"spec": {"documentsPerSecond": 101}}))
    ended = small.api.call("DELETE", f"{path}?dryRun=true")
    assert (ended.status, ended.json["status"]["phase"]) == (200, "deleting")
    assert service.counts() == before and small.api.get(path).json["generation"] == 1


def test_pipelines_made_at_once_stay_within_both_limits(service, small):
    def all_of(bodies):
        with ThreadPoolExecutor(len(bodies)) as pool:
            return sorted(a.status for a in pool.map(lambda body: small.api.post(f"{small.path}/pipelines", body), bodies))

    assert all_of([small.pipeline_body(rate=50) for _ in range(8)]) == [202] * 2 + [403] * 6
    assert "has 100 documents per second in its other pipelines and may have 100" in refused(order(small, rate=1))
    assert all_of([small.pipeline_body(rate=0) for _ in range(8)]) == [202] + [403] * 7
    assert "has 3 pipelines and may have 3" in refused(order(small, rate=0))
    assert service.database.value("SELECT count(*) FROM resource WHERE tenant_id = %s", small.id) == 3


def test_rates_that_rise_at_once_stay_within_the_limit(service, small):
    paths = [path_of(small, small.create_pipeline(rate=20).json) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda path: small.api.call("PATCH", path, {"spec": {"documentsPerSecond": 60}}), paths))
    assert sorted(answer.status for answer in answers) == [202, 403, 403]
    assert service.database.value("SELECT sum((spec ->> 'documentsPerSecond')::int) FROM resource WHERE tenant_id = %s",
                                  small.id) == 100
    assert service.provider.call("PATCH", small.path, {"documentLimit": 10}).status == 200
    lower = small.api.call("PATCH", paths[0], {"spec": {"documentsPerSecond": 15}})
    assert lower.status == 202, "who has more than it may have can ask for less"


def test_a_delete_is_for_good_and_frees_the_rate(service, small):
    made = small.create_pipeline(rate=100).json
    path = path_of(small, made)
    gone = small.api.call("DELETE", path, headers={"If-Match": '"g1"'})
    assert (gone.status, gone.json["status"]["phase"]) == (202, "deleting")
    operation = small.api.get(gone.headers["Operation-Location"]).json
    assert (operation["kind"], operation["status"], operation["requestedGeneration"]) == ("delete", "pending", 2)
    again = small.api.call("DELETE", path)
    assert (again.status, again.headers["Operation-Location"]) == (202, gone.headers["Operation-Location"])
    late = small.api.call("PATCH", path, {"spec": {"documentsPerSecond": 1}})
    assert (late.status, late.json["code"]) == (409, "PurgeStarted")
    assert order(small, rate=100).status == 202
    service.database.query("UPDATE resource SET purge_started_at = now(), deleted_at = now() WHERE id = %s", made["id"])
    for method, body in (("GET", None), ("PATCH", {}), ("DELETE", None)):
        answer = small.api.call(method, path, body)
        assert (answer.status, answer.json["code"]) == (410, "PipelineDeleted")
    assert small.api.post(f"{small.path}/pipelines", {**small.pipeline_body(rate=0), "name": made["name"]}).status == 202


def test_a_change_that_waited_for_a_delete_comes_too_late(service, small):
    """Its transaction began before, so that the time of the purge is yet to come for it."""
    made = small.create_pipeline().json
    path = path_of(small, made)
    with service.database.connect() as holder, holder.cursor() as cursor, ThreadPoolExecutor(2) as pool:
        holder.autocommit = False
        cursor.execute("SELECT 1 FROM resource WHERE id = %s FOR UPDATE", (made["id"],))
        late = [pool.submit(small.api.call, "PATCH", path, {"spec": {"documentsPerSecond": 1}}), pool.submit(small.api.call, "DELETE", path)]
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        eventually(lambda: service.database.value(waiting) == 2, 20)
        cursor.execute("UPDATE resource SET lifecycle = 'closed', purge_after = clock_timestamp() WHERE id = %s", (made["id"],))
        holder.commit()
        assert [future.result().status for future in late] == [409, 202]
    assert service.database.value("SELECT generation FROM resource WHERE id = %s", made["id"]) == 1


def test_a_graph_has_a_size_and_is_told_once(service, tenant):
    long = [f"{'s' * 30}-{number}" for number in range(32)]
    workers = {name: {"class": "blue", "next": long[at + 1:]} for at, name in enumerate(long)}
    refused = tenant.api.post(f"{tenant.path}/pipelines", {"name": "large", "spec": {"documentsPerSecond": 1, "workers": workers}})
    assert refused.status == 400, refused.body
    assert [(row["pointer"], row["code"]) for row in refused.json["errors"]] == [("/spec/workers", "TooLarge")]
    made = tenant.create_pipeline().json
    assert tenant.api.call("PATCH", path_of(tenant, made), {"spec": {"documentsPerSecond": 2}}).status == 202
    told = service.database.query("SELECT action, detail -> 'spec' ? 'workers' FROM audit_event WHERE resource_id = %s ORDER BY id", made["id"])
    assert told == [("pipeline.create", True), ("pipeline.update", False)]


def test_stages_are_the_tenant_s_to_read(service, tenant, other):
    made = tenant.create_pipeline().json
    path = path_of(tenant, made)

    def seen(api=tenant.api):
        status = api.get(path).json["status"]
        return status["stages"], status["stagesCut"], status["waiting"]

    assert seen() == (None, None, None), "its cell told nothing yet"
    stages = [{"name": "first", "class": "blue", "reason": "WaitingForScale", "documentsPerSecond": 10, "missing": 10, "reserved": 10,
               "podsToCome": 1, "podCount": 1, "pods": [{"ordinal": 0, "milliDocumentsPerSecond": 10000, "serves": False}]}]
    waiting = {"stage": "first", "need": 10, "free": 0, "pods": 1, "since": "2026-11-29T10:00:00Z",
               "deadline": "2026-11-29T10:02:00Z", "attempts": 0}
    service.database.query("UPDATE resource_status SET stages = %s, stages_cut = 'PodsLeftOut', waiting = %s WHERE resource_id = %s",
                           json.dumps(stages), json.dumps(waiting), made["id"], role="fleet")
    assert seen() == seen(service.provider) == (stages, "PodsLeftOut", waiting)
    assert other.api.get(path).status == 404
    (listed,) = [item for item in tenant.api.get(f"{tenant.path}/pipelines?limit=500").json["items"] if item["id"] == made["id"]]
    whole = tenant.api.get(path).json
    assert whole["status"].pop("stages") and whole["status"].pop("stagesCut")
    assert listed == whole, "a list is without the stages and what was cut of them, and only those"
    drawn = tenant.api.get(f"{path}/graph").body.decode()
    assert "WaitingForScale: 10 missing" in drawn and "#b3261e" in drawn


def test_what_its_cell_says_is_the_tenant_s_to_read(service, tenant):
    made = tenant.create_pipeline().json
    told = '[{"type": "Ready", "status": "False", "reason": "UnknownClass", "message": "stage first needs the class blue"}]'
    service.database.query("UPDATE resource_status SET phase = 'error', reason = 'UnknownClass', message = 'stage first',"
                           " conditions = %s, observed_generation = 1 WHERE resource_id = %s", told, made["id"], role="fleet")
    status = tenant.api.get(path_of(tenant, made)).json["status"]
    assert (status["phase"], status["reason"], status["message"]) == ("error", "UnknownClass", "stage first")
    assert status["conditions"][0]["message"] == "stage first needs the class blue"
    counted = service.provider.get("/v1/status").json["pipelines"]
    assert counted["byPhase"]["error"] == 1
    assert counted["total"] == service.database.value(
        "SELECT count(*) FROM resource_status WHERE kind_of(resource_id) = 'pipeline'")
