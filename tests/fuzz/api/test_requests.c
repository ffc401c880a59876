/*
 * JSON to spec: bodies of the provider API. The first byte chooses who asks for what. A refusal
 * names what is wrong; what is accepted is kept as text and comes back as the same.
 */
#include "api/account_request.h"
#include "api/pipeline_request.h"
#include "api/registry_request.h"
#include "api/rotation_request.h"
#include "server/base/str.h"
#include "tests/fuzz/fuzz.h"

static const struct registry_request current = {
    .name = "acme", .plan = "s", .version = "2.14", .host = "acme.example.com"};

static void check_kept(struct ctx *ctx, const struct registry_request *request)
{
    struct registry_request again;
    const char *spec = registry_request_spec(ctx, request);
    MUST(registry_request_of(ctx, spec, request->name, &again) == 0);
    MUST(str_equal(again.plan, request->plan) && str_equal(again.version, request->version));
    MUST(str_equal(again.host, request->host));
    MUST(again.trivy == request->trivy && again.exporter == request->exporter);
}

static void check_kept_pipeline(struct ctx *ctx, const struct pipeline_request *request)
{
    struct pipeline_request again;
    const char *spec = pipeline_request_spec(ctx, request);
    MUST(pipeline_request_of(ctx, spec, request->name, &again) == 0);
    MUST(again.documents_per_second == request->documents_per_second);
    MUST(again.priority == request->priority && json_equal(again.workers, request->workers));
}

/* Whoever patches a pipeline changes its rate, and nothing else. */
static int patch_pipeline(struct ctx *ctx, enum audience audience, const json_t *body,
                          struct field_errors *errors)
{
    static const char spec[] = "{\"documentsPerSecond\":8,\"priority\":0,\"workers\":"
                               "{\"a\":{\"class\":\"x\"}}}";
    struct pipeline_request ordered, got;
    MUST(pipeline_request_of(ctx, spec, "p", &ordered) == 0);
    TRY(pipeline_request_patch(ctx, audience, body, &ordered, &got, errors));
    MUST(str_equal(got.name, "p") && json_equal(got.workers, ordered.workers));
    MUST(got.priority == ordered.priority);
    check_kept_pipeline(ctx, &got);
    return 0;
}

static int bind(struct ctx *ctx, unsigned what, enum audience audience, const json_t *body,
                struct field_errors *errors)
{
    union {
        struct registry_request registry;
        struct pipeline_request pipeline;
        struct rotation_request rotation;
        struct tenant_request tenant;
        struct name_request name;
        struct cell_request cell;
    } got = {.registry = current};
    int rc = 0;
    switch (what) {
    case 0:
    case 1:
        rc = what ? registry_request_patch(ctx, audience, body, &current, "2.13", &got.registry,
                                           errors)
                  : registry_request_create(ctx, audience, body, &got.registry, errors);
        if (rc == 0)
            check_kept(ctx, &got.registry);
        return rc;
    case 2:
        return tenant_request_create(ctx, audience, body, &got.tenant, errors);
    case 3:
        return tenant_request_patch(ctx, audience, body, &got.tenant, errors);
    case 4:
        return name_request_bind(ctx, audience, body, &got.name, errors);
    case 5:
        return cell_request_bind(ctx, audience, body, &got.cell, errors);
    case 6:
        rc = rotation_request_bind(ctx, audience, body, &got.rotation, errors);
        MUST(rc < 0 || rotation_request_kinds(ctx, &got.rotation));
        return rc;
    case 7:
        rc = pipeline_request_create(ctx, audience, body, &got.pipeline, errors);
        if (rc == 0)
            check_kept_pipeline(ctx, &got.pipeline);
        return rc;
    default:
        return patch_pipeline(ctx, audience, body, errors);
    }
}

void fuzz_one(struct ctx *ctx, const char *text, size_t bytes)
{
    static const enum audience audiences[] = {AUDIENCE_TENANT, AUDIENCE_PROVIDER};
    struct field_errors errors = {0};
    json_t *body = NULL;
    if (!bytes)
        return;
    unsigned what = (unsigned char)*text;
    int rc = schema_parse(ctx, text + 1, bytes - 1, &body, &errors);
    if (rc == 0)
        rc = bind(ctx, what / 2 % 9, audiences[what % 2], body, &errors);
    MUST(rc <= 0 && errors.count <= FIELD_ERRORS_MAX);
    MUST((rc == 0) == (errors.count == 0) && (rc == 0 || ctx->err.message[0]));
    for (int at = 0; at < errors.count; at++)
        MUST(errors.row[at].code && errors.row[at].detail && errors.row[at].pointer);
}
