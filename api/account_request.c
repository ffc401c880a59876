/* The rows of tenants, API keys and cells. */
#include "api/account_request.h"

#include "server/base/ctx.h"

#define EVERYBODY (AUDIENCE_TENANT | AUDIENCE_PROVIDER)

static const struct field tenant_fields[] = {
    {"name", FIELD_STRING, AUDIENCE_PROVIDER, true, offsetof(struct tenant_request, name), 1, 40,
     schema_is_title, "a name for people: 1 to 40 bytes, printable, no blank at either end"},
    {"registryLimit", FIELD_INTEGER, AUDIENCE_PROVIDER, false,
     offsetof(struct tenant_request, registry_limit), 0, 10000, NULL,
     "how many registries the tenant may have, closed ones included"},
    {"keyLimit", FIELD_INTEGER, AUDIENCE_PROVIDER, false,
     offsetof(struct tenant_request, key_limit), 0, 10000, NULL,
     "how many API keys the tenant may have, revoked ones not counted"},
    {"pipelineLimit", FIELD_INTEGER, AUDIENCE_PROVIDER, false,
     offsetof(struct tenant_request, pipeline_limit), 0, 10000, NULL,
     "how many pipelines the tenant may have"},
    {"documentLimit", FIELD_INTEGER, AUDIENCE_PROVIDER, false,
     offsetof(struct tenant_request, document_limit), 0, 100000000, NULL,
     "how many documents per second its pipelines may ask for, all together"},
    {.path = "id", .type = FIELD_READ_ONLY, .doc = "ids are given by the server"},
    {.path = "createdAt", .type = FIELD_READ_ONLY, .doc = "the server sets it"},
    {0},
};

static const struct field name_fields[] = {
    {"name", FIELD_STRING, EVERYBODY, true, offsetof(struct name_request, name), 1, 40,
     schema_is_title, "a name for people: 1 to 40 bytes, printable, no blank at either end"},
    {.path = "id", .type = FIELD_READ_ONLY, .doc = "ids are given by the server"},
    {.path = "tenantId", .type = FIELD_READ_ONLY, .doc = "the path names the tenant"},
    {.path = "createdAt", .type = FIELD_READ_ONLY, .doc = "the server sets it"},
    {0},
};

static const struct field cell_fields[] = {
    {"name", FIELD_STRING, AUDIENCE_PROVIDER, true, offsetof(struct cell_request, name), 1, 40,
     schema_is_dns_label, "a DNS label of at most 40 characters"},
    {"kubeconfig", FIELD_STRING, AUDIENCE_PROVIDER, true, offsetof(struct cell_request, kubeconfig),
     1, 100, schema_is_file_name,
     "the name of a file in the fleet's directory of kubeconfigs; no slash"},
    {"capacity", FIELD_INTEGER, AUDIENCE_PROVIDER, false, offsetof(struct cell_request, capacity),
     0, 10000, NULL, "how many registries the cell may hold"},
    {.path = "state", .type = FIELD_READ_ONLY, .doc = "a new cell is open"},
    {.path = "createdAt", .type = FIELD_READ_ONLY, .doc = "the server sets it"},
    {0},
};

int tenant_request_create(struct ctx *ctx, enum audience audience, const json_t *body,
                          struct tenant_request *ret, struct field_errors *errors)
{
    *ret = (struct tenant_request){.registry_limit = TENANT_REGISTRY_LIMIT,
                                   .key_limit = TENANT_KEY_LIMIT,
                                   .pipeline_limit = TENANT_PIPELINE_LIMIT,
                                   .document_limit = TENANT_DOCUMENT_LIMIT};
    return schema_bind(ctx, tenant_fields, BIND_WHOLE, audience, body, ret, errors);
}

int tenant_request_patch(struct ctx *ctx, enum audience audience, const json_t *body,
                         struct tenant_request *ret, struct field_errors *errors)
{
    *ret = (struct tenant_request){.registry_limit = TENANT_LIMIT_KEPT,
                                   .key_limit = TENANT_LIMIT_KEPT,
                                   .pipeline_limit = TENANT_LIMIT_KEPT,
                                   .document_limit = TENANT_LIMIT_KEPT};
    TRY(schema_bind(ctx, tenant_fields, BIND_PATCH, audience, body, ret, errors));
    if (!ret->name)
        return 0;
    return schema_refuse(ctx, errors, "/name", "Immutable", "a tenant keeps its name");
}

int name_request_bind(struct ctx *ctx, enum audience audience, const json_t *body,
                      struct name_request *ret, struct field_errors *errors)
{
    *ret = (struct name_request){0};
    return schema_bind(ctx, name_fields, BIND_WHOLE, audience, body, ret, errors);
}

int cell_request_bind(struct ctx *ctx, enum audience audience, const json_t *body,
                      struct cell_request *ret, struct field_errors *errors)
{
    *ret = (struct cell_request){.capacity = 1000};
    return schema_bind(ctx, cell_fields, BIND_WHOLE, audience, body, ret, errors);
}
