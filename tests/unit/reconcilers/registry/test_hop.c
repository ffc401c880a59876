/* What is kept of a hop, what the schema of a database means for it, and what is stopped. Pure. */
#include "tests/unit/reconcilers/registry/operator.h"

#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

static json_t *kept_with(struct ctx *ctx, const char *note)
{
    return arena_json(ctx->arena,
                      json_pack("{s:{s:{s:s*}}}", "metadata", "annotations", ANNOTATION_HOP, note));
}

static void state__is_read_as_it_was_written(void **state)
{
    struct ctx *ctx = *state;
    const struct hop_state written = {
        .step = HOP_RESTORING,
        .runs = "2.14.4",
        .from = "2.14.4",
        .to = "2.15.2",
        .why = "the migration left schema 175 dirty",
        .retry = "3",
        .tables = 49,
        .schema = 171,
        .dump = {.prefix = DUMP_FOLDER "a/b/", .parts = 2, .bytes = 9000000000, .sha256 = "ab"}};
    struct hop_state read;
    const char *note = hop_note(ctx, &written);
    assert_int_equal(hop_state_of(ctx, kept_with(ctx, note), &read), 0);
    assert_string_equal(hop_note(ctx, &read), note);
    assert_int_equal(read.step, HOP_RESTORING);
    assert_int_equal(read.dump.bytes, 9000000000);
}

/* A tenant names images, and whoever may write the Registry annotates it: neither may fill the
 * note. */
static void state__is_bounded_whatever_others_named(void **state)
{
    struct ctx *ctx = *state;
    char *image = arena_alloc(ctx->arena, 20001);
    memset(image, 'i', 20000);
    struct hop_state read, written = {.step = HOP_ABANDONING,
                                      .runs = "2.14.4",
                                      .from = "2.14.4",
                                      .to = "2.15.2",
                                      .why = image,
                                      .retry = image};
    const char *note = hop_note(ctx, &written);
    assert_int_equal(hop_state_of(ctx, kept_with(ctx, note), &read), 0);
    assert_int_equal(strlen(read.why), HOP_WORD_BYTES);
    /* or it would be another value at each look */
    const json_t *registry =
        arena_json(ctx->arena, json_pack("{s:{s:{s:s}}}", "metadata", "annotations",
                                         ANNOTATION_RETRY_HOP, image));
    assert_string_equal(hop_retry(ctx, registry), read.retry);
}

static void state__of_a_secret_without_note_is_unknown(void **state)
{
    struct ctx *ctx = *state;
    struct hop_state read;
    assert_int_equal(hop_state_of(ctx, kept_with(ctx, NULL), &read), 0);
    assert_null(read.runs);
    assert_int_equal(read.step, HOP_SETTLED);
}

/* To take another version for the one that runs could cost the data: nothing is guessed. */
static void state__written_by_hand_is_damage(void **state)
{
    struct ctx *ctx = *state;
    static const char *const notes[] = {
        "{}",
        "[]",
        "{\"step\":\"Settled\"}",
        "{\"step\":\"Jumping\",\"runs\":\"2.14.4\"}",
        "{\"step\":\"Dumping\",\"runs\":\"2.14.4\",\"from\":\"2.14.4\"}",
    };
    struct hop_state read;
    for (size_t at = 0; at < ARRAY_SIZE(notes); at++) {
        assert_int_equal(hop_state_of(ctx, kept_with(ctx, notes[at]), &read), -ERR_REFUSED);
        assert_string_equal(ctx->err.reason, "SecretDamaged");
    }
    assert_true(hop_state_of(ctx, kept_with(ctx, "no JSON"), &read) < 0);
}

/* A registry whose hop has not begun is not as its spec wants. */
static void hop__is_open_until_what_is_wanted_runs(void **state)
{
    (void)state;
    static const struct {
        const char *runs, *wanted;
        enum hop_step step;
        bool open, moves;
    } cases[] = {
        {"2.14.4", "2.14.4", HOP_SETTLED, false, false},
        {"2.14.4", "2.15.2", HOP_SETTLED, true, false},
        {"2.14.4", "2.15.2", HOP_DUMPING, true, true},
        {"2.15.2", "2.15.2", HOP_STARTING, true, true},
        {"2.14.4", "2.15.2", HOP_ROLLED_BACK, true, false},
        {NULL, "2.15.2", HOP_SETTLED, false, false}, /* the pass did not get there */
    };
    for (size_t at = 0; at < ARRAY_SIZE(cases); at++) {
        const struct registry_scope scope = {
            .hop = {.wanted = cases[at].wanted,
                    .state = {.step = cases[at].step, .runs = cases[at].runs}}};
        assert_int_equal(hop_is_open(&scope), cases[at].open);
        assert_int_equal(hop_moves(&scope), cases[at].moves);
    }
}

static void hop__begins_at_a_clean_schema_of_what_runs(void **state)
{
    struct ctx *ctx = *state;
    struct registry_operator *home = test_operator(ctx);
    static const struct {
        struct postgres_schema schema;
        const char *reason; /* NULL = it begins */
    } cases[] = {
        {{.tables = 0, .version = -1}, NULL}, /* never migrated */
        {{.tables = 49, .version = 170}, NULL},
        {{.tables = 49, .version = 179}, NULL},
        {{.tables = 49, .version = 171, .dirty = true}, "SchemaDirty"},
        {{.tables = 49, .version = 180}, "SchemaUnknown"},
        {{.tables = 49, .version = 169}, "SchemaUnknown"},
        {{.tables = 49, .version = -1}, "SchemaUnknown"}, /* somebody else's tables */
    };
    const struct hop_state settled = {.runs = "2.14.4"};
    for (size_t at = 0; at < ARRAY_SIZE(cases); at++) {
        const char *reason = NULL;
        const char *refusal = hop_refusal(ctx, home, &settled, &cases[at].schema, &reason);
        assert_int_equal(refusal != NULL, cases[at].reason != NULL);
        if (refusal)
            assert_string_equal(reason, cases[at].reason);
    }
    registry_operator_free(home);
}

static void migration__succeeded_where_the_schema_is_the_new_versions(void **state)
{
    struct ctx *ctx = *state;
    struct registry_operator *home = test_operator(ctx);
    static const struct {
        const char *to;
        int64_t before;
        struct postgres_schema after;
        bool holds;
    } cases[] = {
        {"2.15.2", 171, {.tables = 49, .version = 180}, true},
        {"2.15.2", -1, {.tables = 49, .version = 180}, true},
        {"2.14.9", 171, {.tables = 49, .version = 171}, true}, /* a patch without migrations */
        {"2.14.9", 172, {.tables = 49, .version = 171}, false},
        {"2.15.2", 171, {.tables = 49, .version = 180, .dirty = true}, false},
        {"2.15.2", 171, {.tables = 49, .version = 171}, false},
        {"2.15.2", -1, {.tables = 0, .version = -1}, false},
        {"2.15.2", 171, {.tables = 49, .version = 190}, false},
    };
    for (size_t at = 0; at < ARRAY_SIZE(cases); at++) {
        const struct hop_state hop = {.to = cases[at].to, .schema = cases[at].before};
        assert_int_equal(hop_failure(ctx, home, &hop, &cases[at].after) == NULL, cases[at].holds);
    }
    registry_operator_free(home);
}

/* Each minor that has a patch has its schemas, and no number belongs to two of them. */
static void schemas__are_told_for_each_version(void **state)
{
    struct ctx *ctx = *state;
    struct registry_operator *home = test_operator(ctx);
    const char *minor, *other;
    json_t *patch, *range;
    json_object_foreach(json_object_get(home->versions, "patches"), minor, patch) {
        const json_t *own = json_object_get(json_object_get(home->versions, "schemas"), minor);
        int64_t first = json_int_or(own, "first", 0);
        assert_true(first > 0 && json_int_or(own, "last", 0) >= first);
        assert_string_equal(hop_full_version(home, minor), json_string_value(patch));
        json_object_foreach(json_object_get(home->versions, "schemas"), other, range)
            assert_true(str_equal(minor, other) || first > json_int_or(range, "last", 0) ||
                        json_int_or(own, "last", 0) < json_int_or(range, "first", 0));
    }
    registry_operator_free(home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(state__is_read_as_it_was_written),
        TEST(state__is_bounded_whatever_others_named),
        TEST(state__of_a_secret_without_note_is_unknown),
        TEST(state__written_by_hand_is_damage),
        TEST(hop__is_open_until_what_is_wanted_runs),
        TEST(hop__begins_at_a_clean_schema_of_what_runs),
        TEST(migration__succeeded_where_the_schema_is_the_new_versions),
        TEST(schemas__are_told_for_each_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
