/* Whose word counts: events, own writes and full lists meet in every order. */
#include "reconcilers/kube/store.h"

#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

static struct store *store;

static json_t *object(struct ctx *ctx, const char *name, const char *uid, int version)
{
    const char *text = arena_printf(ctx->arena,
                                    "{\"metadata\":{\"namespace\":\"n\",\"name\":\"%s\","
                                    "\"uid\":\"%s\",\"resourceVersion\":\"%d\"}}",
                                    name, uid, version);
    return arena_json(ctx->arena, json_loads(text, 0, NULL));
}

/* "name@version name@version", in no promised order: tests use one or two. */
static const char *content(struct ctx *ctx)
{
    struct entry **entries;
    const char *text = "";
    size_t count = store_collect(store, "n", NULL, &entries);
    for (size_t at = 0; at < count; at++) {
        text = arena_printf(ctx->arena, "%s%s%s@%s", text, *text ? " " : "", entries[at]->key + 2,
                            entries[at]->version);
        entry_release(entries[at]);
    }
    free(entries);
    return text;
}

/* Swaps and tells what changed: "name@version" or "-name@version". */
static const char *swap(struct ctx *ctx, const char *version, bool rollback)
{
    struct store_change *changes;
    const char *text = "";
    size_t count = store_swap(store, version, rollback, &changes);
    for (size_t at = 0; at < count; at++) {
        text = arena_printf(ctx->arena, "%s%s%s%s@%s", text, *text ? " " : "",
                            changes[at].deleted ? "-" : "", changes[at].entry->key + 2,
                            changes[at].entry->version);
        entry_release(changes[at].entry);
    }
    free(changes);
    return text;
}

static void test_newer_wins(void **state)
{
    struct ctx *ctx = *state;
    assert_int_equal(store_event(store, object(ctx, "a", "u", 5), false), STORE_TAKEN);
    assert_int_equal(store_event(store, object(ctx, "a", "u", 4), false), STORE_OUTDATED);
    assert_string_equal(content(ctx), "a@5");
    store_put(store, object(ctx, "a", "u", 4));
    assert_string_equal(content(ctx), "a@5");
    store_put(store, object(ctx, "a", "u", 10));
    assert_string_equal(content(ctx), "a@10");
    assert_int_equal(store_event(store, object(ctx, "a", "u", 9), false),
                     STORE_OUTDATED); /* late */
    assert_int_equal(store_event(store, object(ctx, "a", "u", 10), false),
                     STORE_TAKEN); /* the echo is told */
    assert_string_equal(content(ctx), "a@10");
}

static void test_dropped_stays_away(void **state)
{
    struct ctx *ctx = *state;
    store_event(store, object(ctx, "a", "u", 5), false);
    store_drop(store, "n", "a", "u");
    assert_string_equal(content(ctx), "");
    assert_false(store_heard_end(store, "u")); /* it is our word alone */
    assert_int_equal(store_event(store, object(ctx, "a", "u", 6), false),
                     STORE_OUTDATED);           /* late */
    store_put(store, object(ctx, "a", "u", 7)); /* a slow writer's result */
    assert_string_equal(content(ctx), "");
    assert_int_equal(store_event(store, object(ctx, "a", "u", 8), true),
                     STORE_TAKEN); /* others hear of it */
    assert_true(store_heard_end(store, "u"));
    assert_int_equal(store_event(store, object(ctx, "a", "new", 9), false), STORE_TAKEN);
    assert_string_equal(content(ctx), "a@9");
    store_drop(store, "n", "a", "u"); /* again: another object has the name now */
    assert_string_equal(content(ctx), "a@9");
}

static void test_deletion_then_late_put(void **state)
{
    struct ctx *ctx = *state;
    store_event(store, object(ctx, "a", "u", 5), false);
    assert_false(store_heard_end(store, "u"));
    assert_int_equal(store_event(store, object(ctx, "a", "u", 6), true), STORE_TAKEN);
    store_put(store, object(ctx, "a", "u", 5));
    assert_string_equal(content(ctx), "");
    assert_true(store_heard_end(store, "u"));
}

static void test_back_into_the_selector(void **state)
{
    struct ctx *ctx = *state;
    store_event(store, object(ctx, "a", "u", 5), false);
    assert_int_equal(store_event(store, object(ctx, "a", "u", 6), true),
                     STORE_TAKEN);              /* a label went */
    store_put(store, object(ctx, "a", "u", 6)); /* the writer's result */
    assert_string_equal(content(ctx), "");
    assert_int_equal(store_event(store, object(ctx, "a", "u", 7), false),
                     STORE_TAKEN); /* and came back */
    assert_string_equal(content(ctx), "a@7");
    assert_int_equal(store_event(store, object(ctx, "a", "u", 8), true), STORE_TAKEN);
    store_shadow_add(store, object(ctx, "a", "u", 9));
    assert_string_equal(swap(ctx, "10", false), "a@9");
}

static void test_old_deletion_spares_the_new_object(void **state)
{
    struct ctx *ctx = *state;
    store_event(store, object(ctx, "a", "u", 5), false);
    store_put(store, object(ctx, "a", "new", 9));
    assert_int_equal(store_event(store, object(ctx, "a", "u", 7), true), STORE_TAKEN);
    assert_string_equal(content(ctx), "a@9");
}

static void test_swap_finds_changes(void **state)
{
    struct ctx *ctx = *state;
    store_event(store, object(ctx, "gone", "u1", 5), false);
    store_event(store, object(ctx, "same", "u2", 6), false);
    store_event(store, object(ctx, "changed", "u3", 7), false);
    store_shadow_add(store, object(ctx, "same", "u2", 6));
    store_shadow_add(store, object(ctx, "changed", "u3", 9));
    store_shadow_add(store, object(ctx, "new", "u4", 8));
    store_shadow_add(store, object(ctx, "passing", "u5", 8));
    store_shadow_remove(store, object(ctx, "passing", "u5", 9));
    assert_string_equal(content(ctx), "gone@5 same@6 changed@7"); /* readable until the swap */
    assert_string_equal(swap(ctx, "10", false), "-gone@5 changed@9 new@8");
    assert_int_equal(store_count(store), 3);
}

static void test_swap_keeps_what_is_newer(void **state)
{
    struct ctx *ctx = *state;
    store_put(store, object(ctx, "made", "u1", 12)); /* after the list of version 10 */
    store_put(store, object(ctx, "echo", "u2", 9));  /* in it, but nobody was told */
    store_event(store, object(ctx, "dropped", "u3", 5), false);
    store_drop(store, "n", "dropped", "u3");
    store_shadow_add(store, object(ctx, "echo", "u2", 9));
    store_shadow_add(store, object(ctx, "dropped", "u3", 5));
    assert_string_equal(swap(ctx, "10", false), "-dropped@5 echo@9");
    assert_string_equal(content(ctx), "made@12 echo@9");
    assert_string_equal(swap(ctx, "13", false), "-made@12 -echo@9");
}

static void test_rollback_counts_only_the_list(void **state)
{
    struct ctx *ctx = *state;
    store_event(store, object(ctx, "a", "u1", 50), false);
    store_event(store, object(ctx, "b", "u2", 60), false);
    store_event(store, object(ctx, "back", "u3", 70), false);
    store_event(store, object(ctx, "back", "u3", 71), true);
    store_shadow_add(store, object(ctx, "a", "u1", 20));
    store_shadow_add(store, object(ctx, "back", "u3", 21));
    assert_string_equal(swap(ctx, "30", true), "-b@60 a@20 back@21");
    assert_string_equal(content(ctx), "a@20 back@21");
    assert_int_equal(store_event(store, object(ctx, "a", "u1", 31), false), STORE_TAKEN);
}

static void test_look_up(void **state)
{
    struct ctx *ctx = *state;
    store_event(store, object(ctx, "a", "u1", 5), false);
    store_event(store, object(ctx, "b", "u2", 6), false);
    struct entry *entry = store_find(store, "n", "a");
    assert_non_null(entry);
    store_drop(store, "n", "a", "u1");
    assert_string_equal(entry->uid, "u1"); /* readers keep what they hold */
    entry_release(entry);
    assert_null(store_find(store, "n", "a"));
    assert_null(store_find(store, NULL, "b"));
    struct entry **entries;
    assert_int_equal(store_collect(store, "other", NULL, &entries), 0);
    free(entries);
}

/* ---- by label ---- */

static json_t *labelled(struct ctx *ctx, const char *namespace, const char *name, int version,
                        const char *label, const char *value)
{
    json_t *item = object(ctx, name, name, version);
    json_put(item, "metadata.namespace", json_string(namespace));
    json_object_set_new(item, "note", json_string(value)); /* a value alone is no label */
    json_put(item, "metadata.labels", json_object());
    json_object_set_new(json_at(item, "metadata.labels"), label, json_string(value));
    return item;
}

/* How many of a namespace (NULL = all) carry it. */
static size_t carry(struct ctx *ctx, const char *namespace, const char *label, const char *value)
{
    struct entry **entries;
    struct term term = {label, value, arena_printf(ctx->arena, "\"%s\":\"%s\"", label, value)};
    size_t count = store_collect(store, namespace, &term, &entries);
    for (size_t at = 0; at < count; at++)
        entry_release(entries[at]);
    free(entries);
    return count;
}

/* One label has a family, of the other the texts are searched: no difference but in time. */
static const char *const labels[] = {FAMILY_PREFIX "root", "example.com/root"};

static void check_labels(struct ctx *ctx, const char *label, int from)
{
    store_event(store, labelled(ctx, "n", "a", from, label, "x"), false);
    store_event(store, labelled(ctx, "n", "b", from + 1, label, "x"), false);
    store_event(store, labelled(ctx, "m", "c", from + 2, label, "x"), false);
    assert_int_equal(carry(ctx, "n", label, "x"), 2);
    assert_int_equal(carry(ctx, NULL, label, "x"), 3);
    assert_int_equal(carry(ctx, "other", label, "x"), 0);
    assert_int_equal(carry(ctx, "n", label, "y"), 0);
    store_put(store, labelled(ctx, "n", "a", from + 3, label, "y"));
    assert_int_equal(carry(ctx, "n", label, "x"), 1);
    assert_int_equal(carry(ctx, "n", label, "y"), 1);
    store_event(store, labelled(ctx, "n", "b", from + 4, label, "x"), true);
    assert_int_equal(carry(ctx, "n", label, "x"), 0);
    store_shadow_add(store, labelled(ctx, "n", "d", from + 5, label, "x"));
    assert_int_equal(carry(ctx, "n", label, "x"), 0); /* not before the swap */
    swap(ctx, arena_printf(ctx->arena, "%d", from + 6), false);
    assert_int_equal(carry(ctx, "n", label, "x"), 1);
    assert_int_equal(carry(ctx, NULL, label, "x"), 1);
    assert_int_equal(carry(ctx, "n", label, "y"), 0);
    store_event(store, labelled(ctx, "n", "d", from + 7, label, "x"), true);
}

static void test_found_by_label(void **state)
{
    for (size_t at = 0; at < ARRAY_SIZE(labels); at++)
        check_labels(*state, labels[at], 100 * (int)at + 10);
}

/* ---- what one namespace may have ---- */

static json_t *large(struct ctx *ctx, const char *namespace, const char *name, int version,
                     size_t kib)
{
    char *padding = arena_alloc(ctx->arena, kib * 1024 + 1);
    memset(padding, 'x', kib * 1024);
    json_t *object = json_pack("{s:{s:s*, s:s, s:s, s:s}, s:s}", "metadata", "namespace", namespace,
                               "name", name, "uid", name, "resourceVersion",
                               arena_printf(ctx->arena, "%d", version), "data", padding);
    return arena_json(ctx->arena, object);
}

static void test_a_namespace_has_its_bound(void **state)
{
    struct ctx *ctx = *state;
    assert_int_equal(store_event(store, large(ctx, "n", "a", 1, 2000), false), STORE_TAKEN);
    assert_int_equal(store_event(store, large(ctx, "n", "b", 2, 2000), false), STORE_TAKEN);
    assert_int_equal(store_event(store, large(ctx, "n", "c", 3, 200), false), STORE_FULL);
    store_put(store, large(ctx, "n", "c", 3, 200)); /* nor by our own hand */
    assert_int_equal(store_event(store, large(ctx, "m", "c", 4, 2000), false), STORE_TAKEN);
    assert_int_equal(store_count(store), 3);
    assert_int_equal(store_event(store, large(ctx, "n", "a", 5, 1000), false), STORE_TAKEN);
    assert_int_equal(store_event(store, large(ctx, "n", "c", 6, 200), false), STORE_TAKEN);
    assert_int_equal(store_event(store, large(ctx, "n", "b", 7, 2000), true), STORE_TAKEN);
    assert_int_equal(store_event(store, large(ctx, "n", "d", 8, 2500), false), STORE_TAKEN);
}

/* Places in families cost more than the text of a label. */
static void test_labels_count_as_bytes(void **state)
{
    struct ctx *ctx = *state;
    json_t *item = object(ctx, "a", "a", 1);
    json_put(item, "metadata.labels", json_object());
    enum { LABELS = STORE_NAMESPACE_MAX_BYTES / FAMILY_LABEL_BYTES };
    for (int at = 0; at < LABELS; at++)
        json_object_set_new(json_at(item, "metadata.labels"),
                            arena_printf(ctx->arena, FAMILY_PREFIX "%d", at), json_string("x"));
    assert_int_equal(store_event(store, item, false), STORE_FULL);
    json_object_del(json_at(item, "metadata.labels"), FAMILY_PREFIX "0");
    json_object_del(json_at(item, "metadata.labels"), FAMILY_PREFIX "1");
    assert_int_equal(store_event(store, item, false), STORE_FULL); /* its text counts, too */
    json_put(item, "metadata.labels", json_object());
    assert_int_equal(store_event(store, item, false), STORE_TAKEN);
}

/* The old copy is outdated, and there is no room for the new one. */
static void test_what_outgrows_the_bound_leaves(void **state)
{
    struct ctx *ctx = *state;
    store_event(store, large(ctx, "n", "a", 1, 2000), false);
    store_event(store, large(ctx, "n", "b", 2, 1000), false);
    assert_int_equal(store_event(store, large(ctx, "n", "b", 3, 3000), false), STORE_FULL);
    assert_string_equal(content(ctx), "a@1");
}

static void test_a_list_has_the_same_bound(void **state)
{
    struct ctx *ctx = *state;
    assert_true(store_shadow_add(store, large(ctx, "n", "a", 1, 3000)));
    assert_true(store_shadow_add(store, large(ctx, "n", "a", 2, 3500))); /* in its own place */
    assert_false(store_shadow_add(store, large(ctx, "n", "b", 3, 1000)));
    assert_true(store_shadow_add(store, large(ctx, "m", "b", 3, 1000)));
    swap(ctx, "4", false);
    assert_string_equal(content(ctx), "a@2");
}

static void test_no_bound_at_home_and_without_a_namespace(void **state)
{
    struct ctx *ctx = *state;
    static const char *const names[] = {"a", "b", "c"};
    for (int at = 0; at < 3; at++) {
        store_put(store, large(ctx, "home", names[at], 1, 2000));
        store_put(store, large(ctx, NULL, names[at], 1, 2000));
    }
    assert_int_equal(store_count(store), 6);
}

static int set_up(void **state)
{
    store = store_new("home");
    return test_setup(state);
}

static int tear_down(void **state)
{
    store_free(store);
    return test_teardown(state);
}

#define STORE_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_newer_wins),
        STORE_TEST(test_dropped_stays_away),
        STORE_TEST(test_deletion_then_late_put),
        STORE_TEST(test_back_into_the_selector),
        STORE_TEST(test_old_deletion_spares_the_new_object),
        STORE_TEST(test_swap_finds_changes),
        STORE_TEST(test_swap_keeps_what_is_newer),
        STORE_TEST(test_rollback_counts_only_the_list),
        STORE_TEST(test_look_up),
        STORE_TEST(test_found_by_label),
        STORE_TEST(test_a_namespace_has_its_bound),
        STORE_TEST(test_labels_count_as_bytes),
        STORE_TEST(test_what_outgrows_the_bound_leaves),
        STORE_TEST(test_a_list_has_the_same_bound),
        STORE_TEST(test_no_bound_at_home_and_without_a_namespace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
