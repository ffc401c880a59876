#include "server/dev/devcluster/access.h"

#include "server/base/json.h"
#include "server/base/str.h"
#include "server/dev/devcluster/status.h"

static int review(struct call *call)
{
    json_t *body = NULL;
    TRY(call_body(call, &body));
    json_put(body, "status", json_pack("{s:b}", "allowed", 1));
    call->answer = body;
    call->status = 201;
    return 0;
}

bool access_has_group(const char *group)
{
    return str_equal(group, "authorization.k8s.io");
}

int access_run(struct call *call, const char *group, const char *plural)
{
    bool is_ours =
        access_has_group(group) && str_has_word("selfsubjectaccessreviews subjectaccessreviews "
                                                "localsubjectaccessreviews",
                                                plural);
    if (is_ours && str_equal(call->method, "POST"))
        return review(call);
    return refuse(call, "NotFound", "the server could not find the requested resource");
}
