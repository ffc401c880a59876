#include "tests/unit/test.h"

#include "reconcilers/backends/harbor_rights.h"
#include "server/base/cleanup.h"
#include "server/base/json.h"

#include <string.h>

static json_t *robot(struct ctx *ctx)
{
    const char *body = harbor_rights_body(ctx, "flotilla-operator", "flotilla:cell:identity");
    json_t *tree = NULL;
    assert_int_equal(json_parse(ctx, body, strlen(body), 1 << 16, &tree), 0);
    return tree;
}

static void rights__are_these_and_no_others(void **state)
{
    struct ctx *ctx = *state;
    const json_t *made = robot(ctx);
    static const char *const wanted[] = {"quota list",
                                         "garbage-collection read",
                                         "garbage-collection list",
                                         "garbage-collection create",
                                         "garbage-collection update",
                                         "garbage-collection stop"};
    const json_t *access = json_at(made, "permissions.0.access");
    assert_int_equal(json_array_size(access), ARRAY_SIZE(wanted));
    for (size_t at = 0; at < ARRAY_SIZE(wanted); at++)
        assert_string_equal(arena_printf(ctx->arena, "%s %s",
                                         json_str(json_array_get(access, at), "resource"),
                                         json_str(json_array_get(access, at), "action")),
                            wanted[at]);
    assert_string_equal(json_str(made, "level"), "system");
    assert_int_equal(json_int_or(made, "duration", 0), -1);
    assert_true(harbor_rights_same(made));
}

static void rights__any_other_is_seen(void **state)
{
    struct ctx *ctx = *state;
    static const struct {
        const char *path, *value; /* JSON; NULL = the last right goes */
    } rows[] = {
        {"disable", "true"},
        {"duration", "30"},
        {"permissions", "[]"},
        {NULL, NULL},
    };
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        json_t *made = robot(ctx), *value = NULL;
        if (rows[at].path) {
            assert_int_equal(json_parse(ctx, rows[at].value, strlen(rows[at].value), 64, &value),
                             0);
            json_put(made, rows[at].path, json_incref(value));
        } else {
            json_t *access = json_at(made, "permissions.0.access");
            json_array_remove(access, json_array_size(access) - 1);
        }
        assert_false(harbor_rights_same(made));
    }
    json_t *more = robot(ctx);
    json_t *access = json_at(more, "permissions.0.access");
    json_array_set_new(access, 0, json_pack("{s:s, s:s}", "resource", "robot", "action", "create"));
    assert_false(harbor_rights_same(more));
    more = robot(ctx);
    json_array_append_new(json_at(more, "permissions"),
                          json_deep_copy(json_at(more, "permissions.0")));
    assert_false(harbor_rights_same(more));
    more = robot(ctx);
    json_put(json_at(more, "permissions.0"), "namespace", json_string("*"));
    assert_false(harbor_rights_same(more));
    assert_false(harbor_rights_same(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(rights__are_these_and_no_others),
                                       TEST(rights__any_other_is_seen)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
