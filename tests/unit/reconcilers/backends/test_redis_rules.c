#include "tests/unit/test.h"

#include "reconcilers/backends/redis_rules.h"
#include "server/base/cleanup.h"
#include "server/base/str.h"

#include <string.h>

static const struct redis_want two = {.passwords = {"one", "two"}, .open = true};

static const struct redis_reply *text(struct ctx *ctx, const char *words)
{
    struct redis_reply *reply = arena_alloc(ctx->arena, sizeof *reply);
    *reply = (struct redis_reply){.type = REDIS_TEXT, .text = words, .bytes = strlen(words)};
    return reply;
}

static const struct redis_reply *array(struct ctx *ctx, int count, const char *const words[])
{
    struct redis_reply *reply = arena_alloc(ctx->arena, sizeof *reply);
    reply->type = REDIS_ARRAY;
    reply->text = "";
    reply->count = count;
    reply->element = arena_alloc(ctx->arena, (size_t)count * sizeof *reply->element);
    for (int at = 0; at < count; at++)
        reply->element[at] = text(ctx, words[at]);
    return reply;
}

/* As ACL GETUSER tells a user. */
static const struct redis_reply *user(struct ctx *ctx, const char *flag, const char *flag2,
                                      const char *hash, const char *commands, const char *keys)
{
    const char *const flags[] = {flag, flag2}, *const hashes[] = {hash};
    struct redis_reply *reply = arena_alloc(ctx->arena, sizeof *reply);
    const struct redis_reply *fields[] = {
        text(ctx, "flags"),    array(ctx, 2, flags), text(ctx, "passwords"), array(ctx, 1, hashes),
        text(ctx, "commands"), text(ctx, commands),  text(ctx, "keys"),      text(ctx, keys),
    };
    reply->type = REDIS_ARRAY;
    reply->text = "";
    reply->count = ARRAY_SIZE(fields);
    reply->element = arena_alloc(ctx->arena, sizeof fields);
    memcpy(reply->element, fields, sizeof fields);
    return reply;
}

static char *joined(struct ctx *ctx, const struct redis_command *command)
{
    _cleanup_str_ struct str out;
    str_init(&out, 8192);
    for (int at = 0; at < command->argc; at++)
        str_printf(&out, "%s ", command->argv[at]);
    return arena_strdup(ctx->arena, str_text(&out));
}

static void rules__are_whole_and_hold_no_password(void **state)
{
    struct ctx *ctx = *state;
    const struct redis_command set = redis_rules_set(ctx, "t_x", "flotilla:c:x", 5, &two);
    const char *text = joined(ctx, &set);
    assert_true(str_starts(text,
                           "ACL SETUSER t_x reset on #7692c3ad3540bb803c020b3aee66cd8887123234"
                           "ea0c6e7143c0add73ff431ed #"));
    assert_non_null(strstr(text, " resetchannels &flotilla:c:x ~* -@all +auth "));
    assert_true(str_equal(set.argv[set.argc - 2], "-select"));
    assert_true(str_equal(set.argv[set.argc - 1], "+select|5"));
    static const char *const never[] = {" one ",   " two ",   ">",       "+@",    "+keys ",
                                        "+config", "+acl",    "+move",   "+copy", "+info",
                                        "+flush",  "+client", "+select "};
    for (size_t at = 0; at < ARRAY_SIZE(never); at++)
        assert_null(strstr(text, never[at]));
    const struct redis_command bare = redis_rules_set(ctx, "y", "flotilla:c:x", 5, NULL);
    assert_true(str_starts(joined(ctx, &bare), "ACL SETUSER y reset off resetchannels "));
}

static void same__looks_at_all_but_on_and_passwords(void **state)
{
    struct ctx *ctx = *state;
    const struct redis_reply *wanted = user(ctx, "off", "plain", "-", "-@all +get", "~*");
    assert_true(redis_rules_same(user(ctx, "on", "plain", "h", "-@all +get", "~*"), wanted));
    assert_true(redis_rules_same(user(ctx, "plain", "on", "h", "-@all +get", "~*"), wanted));
    assert_false(redis_rules_same(user(ctx, "on", "nopass", "h", "-@all +get", "~*"), wanted));
    assert_false(redis_rules_same(user(ctx, "on", "on", "h", "-@all +get", "~*"), wanted));
    assert_false(redis_rules_same(user(ctx, "on", "plain", "h", "-@all +set", "~*"), wanted));
    assert_false(redis_rules_same(user(ctx, "on", "plain", "h", "-@all +get", "~a"), wanted));
    const struct redis_reply nobody = {.type = REDIS_NIL, .text = ""};
    assert_false(redis_rules_same(&nobody, wanted));
    assert_null(redis_rules_field(&nobody, "flags"));
    assert_false(redis_rules_has(NULL, "on"));
}

static void passwords__are_a_set(void **state)
{
    (void)state;
    static const char *const hashes[] = {
        "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3", /* two */
        "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed", /* one */
    };
    const struct redis_want one = {.passwords = {"one"}};
    struct redis_state found = {.passwords = 2, .password = hashes};
    assert_true(redis_rules_passwords(&found, &two));
    assert_false(redis_rules_passwords(&found, &one));
    found.passwords = 1;
    assert_false(redis_rules_passwords(&found, &two));
    assert_false(redis_rules_passwords(&found, &one));
    found.password = hashes + 1;
    assert_true(redis_rules_passwords(&found, &one));
}

static void words__are_whole(void **state)
{
    struct ctx *ctx = *state;
    const char *line = "user t_x on #ab ~* &flotilla:c:id -@all +select|55 (~k +select|7)";
    assert_null(redis_rules_word(ctx, line, "+select|5", true));
    assert_string_equal(redis_rules_word(ctx, line, "+select|55", true), "");
    assert_string_equal(redis_rules_word(ctx, line, "+select|7", true), "");
    assert_string_equal(redis_rules_word(ctx, line, "&flotilla:c:", false), "id");
    assert_null(redis_rules_word(ctx, line, "&flotilla:d:", false));
    assert_true(redis_rules_has(text(ctx, line), "-@all"));
    assert_false(redis_rules_has(text(ctx, line), "-@al"));
    assert_false(redis_rules_has(text(ctx, ""), ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rules__are_whole_and_hold_no_password),
        TEST(same__looks_at_all_but_on_and_passwords),
        TEST(passwords__are_a_set),
        TEST(words__are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
