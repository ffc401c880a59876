/* The rows of a pipeline, and what may change in it. */
#include "api/pipeline_request.h"

#include "api/crd.h"
#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

#define EVERYBODY (AUDIENCE_TENANT | AUDIENCE_PROVIDER)
#define AT(member) offsetof(struct pipeline_request, member)

enum { RATE_MAX = 100000000, PRIORITY_MAX = 1000 }; /* as in crds/pipelines.yaml */
enum { WORKERS_MAX_BYTES = 16 << 10 };

static const struct field fields[] = {
    {"name", FIELD_STRING, EVERYBODY, true, AT(name), 1, 40, schema_is_service_name,
     "a letter, then lower case letters, digits and inner hyphens; at most 40 characters"},
    {"spec.documentsPerSecond", FIELD_INTEGER, EVERYBODY, true, AT(documents_per_second), 0,
     RATE_MAX, NULL, "how many documents are sent along the pipeline every second"},
    {"spec.priority", FIELD_INTEGER, EVERYBODY, false, AT(priority), 0, PRIORITY_MAX, NULL,
     "larger ones take room from smaller ones of the same tenant"},
    {"spec.workers", FIELD_OBJECT, EVERYBODY, true, AT(workers), 0, 0, NULL,
     "the stages by name, each with its class and the stages that come next"},
    SCHEMA_RESOURCE_FIELDS,
    {0},
};

static json_t *spec_of(const struct pipeline_request *request)
{
    return json_pack("{s:I, s:I, s:O}", "documentsPerSecond",
                     (json_int_t)request->documents_per_second, "priority",
                     (json_int_t)request->priority, "workers", request->workers);
}

/* As the cell's API server will see it, by the same schema. */
static int check_schema(struct ctx *ctx, const struct pipeline_request *request,
                        struct field_errors *errors)
{
    json_t *object = arena_json(ctx->arena, json_pack("{s:o}", "spec", spec_of(request)));
    json_t *problems = arena_json(ctx->arena, json_array()), *problem;
    size_t index;
    TRY(crd_check(ctx, "crds/pipelines.yaml", object, problems));
    json_array_foreach(problems, index, problem) {
        (void)schema_refuse(ctx, errors, json_str_or(problem, "pointer", ""), "BadValue",
                            json_str_or(problem, "message", ""));
    }
    return json_array_size(problems) ? -ERR_INVALID : 0;
}

/* Lists show it, operators hold it and the audit trail keeps it. */
static int check_size(struct ctx *ctx, const struct pipeline_request *request,
                      struct field_errors *errors)
{
    size_t bytes = json_dumpb(request->workers, NULL, 0, JSON_COMPACT);
    if (bytes <= WORKERS_MAX_BYTES)
        return 0;
    return schema_refuse(ctx, errors, "/spec/workers", "TooLarge",
                         arena_printf(ctx->arena, "%zu bytes of JSON; a graph has at most %d",
                                      bytes, WORKERS_MAX_BYTES));
}

int pipeline_request_create(struct ctx *ctx, enum audience audience, const json_t *body,
                            struct pipeline_request *ret, struct field_errors *errors)
{
    *ret = (struct pipeline_request){0};
    TRY(schema_bind(ctx, fields, BIND_WHOLE, audience, body, ret, errors));
    TRY(check_size(ctx, ret, errors));
    return check_schema(ctx, ret, errors);
}

int pipeline_request_patch(struct ctx *ctx, enum audience audience, const json_t *body,
                           const struct pipeline_request *current, struct pipeline_request *ret,
                           struct field_errors *errors)
{
    *ret = *current;
    TRY(schema_bind(ctx, fields, BIND_PATCH, audience, body, ret, errors));
    if (!str_equal(ret->name, current->name))
        return schema_refuse(ctx, errors, "/name", "Immutable", "a pipeline keeps its name");
    if (ret->priority != current->priority)
        return schema_refuse(ctx, errors, "/spec/priority", "Immutable",
                             "a pipeline keeps its priority");
    if (!json_equal(ret->workers, current->workers))
        return schema_refuse(ctx, errors, "/spec/workers", "Immutable",
                             "a pipeline keeps its graph; another graph is another pipeline");
    return 0;
}

const char *pipeline_request_spec(struct ctx *ctx, const struct pipeline_request *request)
{
    _cleanup_json_ json_t *spec = spec_of(request);
    return json_text(ctx->arena, spec);
}

int pipeline_request_of(struct ctx *ctx, const char *spec, const char *name,
                        struct pipeline_request *ret)
{
    json_t *json;
    TRY(json_parse(ctx, spec, strlen(spec), JSON_TEXT_MAX_BYTES, &json));
    *ret = (struct pipeline_request){
        .name = name,
        .documents_per_second = json_int_or(json, "documentsPerSecond", 0),
        .priority = json_int_or(json, "priority", 0),
        .workers = json_object_get(json, "workers"),
    };
    return 0;
}
