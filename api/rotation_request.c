/* Which credentials are to be made anew. */
#include "api/rotation_request.h"

#include "server/base/cleanup.h"
#include "server/base/ctx.h"
#include "server/base/json.h"

#define KIND(id, name, doc)                                                                        \
    {                                                                                              \
        "credentials." name, FIELD_BOOLEAN, AUDIENCE_TENANT | AUDIENCE_PROVIDER, false,            \
            offsetof(struct rotation_request, kinds) + (id) * sizeof(bool), 0, 0, NULL, doc        \
    }

static const struct field fields[] = {
    KIND(CREDENTIAL_DATABASE, "database", "the login to its database"),
    KIND(CREDENTIAL_REDIS, "redis", "the password of its Redis user"),
    KIND(CREDENTIAL_S3, "s3", "the key of its bucket"),
    KIND(CREDENTIAL_REGISTRY, "registry", "by which core and jobservice use the registry"),
    KIND(CREDENTIAL_INTERNAL, "internal", "what the parts of one Harbor show each other"),
    {0},
};

static bool any(const struct rotation_request *request)
{
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++)
        if (request->kinds[kind])
            return true;
    return false;
}

int rotation_request_bind(struct ctx *ctx, enum audience audience, const json_t *body,
                          struct rotation_request *ret, struct field_errors *errors)
{
    *ret = (struct rotation_request){0};
    if (body)
        TRY(schema_bind(ctx, fields, BIND_WHOLE, audience, body, ret, errors));
    if (any(ret))
        return 0;
    if (json_object_size(json_object_get(body, "credentials")) > 0)
        return schema_refuse(ctx, errors, "/credentials", "Required",
                             "one kind at least is to be true");
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++)
        ret->kinds[kind] = true;
    return 0;
}

const char *rotation_request_kinds(struct ctx *ctx, const struct rotation_request *request)
{
    _cleanup_json_ json_t *names = json_array();
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++)
        if (request->kinds[kind])
            json_array_append_new(names, json_string(credential_kind_names[kind]));
    return json_text(ctx->arena, names);
}
