#include "server/dev/devcluster/lists.h"

#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"
#include "server/dev/devcluster/faulty.h"
#include "server/dev/devcluster/selectors.h"
#include "server/dev/devcluster/status.h"
#include "server/dev/devcluster/store.h"
#include "server/dev/devcluster/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { SNAPSHOTS_MAX = 32, SNAPSHOT_LIFE_MS = 300000 };

/* What is behind a continue token: the objects cost nothing but the array, for they never change.
 */
struct snapshot {
    uint64_t id, version;
    int64_t made_ms;
    json_t *items;
    struct snapshot *next; /* older ones */
};

static void free_snapshots(struct snapshot **from)
{
    while (*from) {
        struct snapshot *gone = *from;
        *from = gone->next;
        json_decref(gone->items);
        free(gone);
    }
}

static const struct snapshot *keep(struct devcluster *cluster, json_t *items)
{
    struct snapshot *made = calloc(1, sizeof *made), **at = &cluster->snapshots;
    if (!made)
        abort();
    *made = (struct snapshot){.id = cluster->snapshots ? cluster->snapshots->id + 1 : 1,
                              .version = cluster->version,
                              .made_ms = clock_boottime_ms(),
                              .items = json_incref(items),
                              .next = cluster->snapshots};
    cluster->snapshots = made;
    for (int count = 0; *at && count < SNAPSHOTS_MAX; count++)
        at = &(*at)->next;
    free_snapshots(at);
    return made;
}

void lists_expire(struct devcluster *cluster)
{
    struct snapshot **at = &cluster->snapshots;
    while (*at && clock_boottime_ms() - (*at)->made_ms <= SNAPSHOT_LIFE_MS)
        at = &(*at)->next;
    free_snapshots(at);
}

void lists_done(struct devcluster *cluster)
{
    free_snapshots(&cluster->snapshots);
}

int lists_version(struct call *call, uint64_t *ret)
{
    const char *text = call_query(call, "resourceVersion");
    int64_t version = 0;
    *ret = 0;
    if (!text || !*text)
        return 0;
    if (!str_to_int(text, 0, INT64_MAX, &version))
        return refuse(call, call_query(call, "watch") ? STATUS_REASONLESS : "BadRequest",
                      "resourceVersion: Invalid value: \"%s\": strconv.ParseUint: parsing \"%s\": "
                      "invalid syntax",
                      text, text);
    *ret = (uint64_t)version;
    if (*ret <= call->cluster->version)
        return 0;
    status_cause(call, "ResourceVersionTooLarge", NULL, "Too large resource version");
    call->retry_after_s = 1;
    return refuse(call, "Timeout", "Too large resource version: %" PRIu64 ", current: %" PRIu64,
                  *ret, call->cluster->version);
}

struct page {
    const json_t *items;
    size_t from, until;
    uint64_t version;
    const char *next; /* continue; NULL = the last page */
    bool selected;    /* not all objects were asked for: how many are left is not told */
};

/* Steals `all`. */
static json_t *show(struct call *call, const struct selector *selector, json_t *all)
{
    json_t *items = arena_json(call->ctx.arena, json_array()), *item;
    size_t at;
    (void)arena_json(call->ctx.arena, all);
    json_array_foreach(all, at, item) {
        json_t *shown = present_object(call->ctx.arena, call->kind, item);
        if (selector_matches(call->ctx.arena, selector, shown))
            json_array_append(items, shown);
    }
    return items;
}

json_t *lists_items(struct call *call, const struct selector *selector, uint64_t *version)
{
    json_t *now = show(call, selector, store_list(call->kind, call->namespace));
    if (call->fault.action != FAULT_STALE)
        return now;
    uint64_t then = *version;
    json_t *old = show(call, selector, faulty_list(call, &then));
    if (json_equal(old, now))
        return now;
    faulty_hit(call);
    *version = then;
    return old;
}

static int answer_page(struct call *call, const struct page *page)
{
    json_t *items = arena_json(call->ctx.arena, json_array());
    bool back = call->fault.action == FAULT_REORDER && page->until - page->from > 1;
    if (back)
        faulty_hit(call);
    for (size_t at = page->from; at < page->until; at++)
        json_array_append(
            items, json_array_get(page->items, back ? page->until - 1 + page->from - at : at));
    json_t *metadata =
        json_pack("{s:s, s:s*}", "resourceVersion", store_version(call->ctx.arena, page->version),
                  "continue", page->next || !(call->kind->flags & CUSTOM) ? page->next : "");
    if (page->next && !page->selected)
        json_put(metadata, "remainingItemCount",
                 json_integer((json_int_t)(json_array_size(page->items) - page->until)));
    return table_list_answer(call, items, arena_json(call->ctx.arena, metadata));
}

static int read_on(struct call *call, const char *token, size_t limit, struct page *page)
{
    uint64_t id;
    size_t from;
    if (sscanf(token, "%" SCNu64 ".%zu", &id, &from) != 2)
        return refuse(call, "BadRequest", "continue key is not valid: %s", token);
    lists_expire(call->cluster);
    const struct snapshot *snapshot = call->cluster->snapshots;
    while (snapshot && snapshot->id != id)
        snapshot = snapshot->next;
    if (!snapshot)
        return refuse(call, "Expired",
                      "The provided continue parameter is too old to display a consistent list "
                      "result. You can start a new list without the continue parameter.");
    *page = (struct page){.items = snapshot->items,
                          .from = from,
                          .version = snapshot->version,
                          .selected = page->selected};
    size_t size = json_array_size(snapshot->items);
    page->until = limit && from + limit < size ? from + limit : size;
    if (page->until < size)
        page->next = arena_printf(call->ctx.arena, "%" PRIu64 ".%zu", id, page->until);
    return 0;
}

int lists_read(struct call *call)
{
    struct selector selector;
    uint64_t version;
    int64_t limit = 0;
    const char *text = call_query(call, "limit"), *token = call_query(call, "continue");
    TRY(selector_of(call, &selector));
    if (text && !str_to_int(text, 0, INT32_MAX, &limit))
        return refuse(call, "BadRequest", "limit: Invalid value: \"%s\"", text);
    struct page page = {.selected = selector.labels || selector.fields};
    if (token && *token) {
        TRY(read_on(call, token, (size_t)limit, &page));
        return answer_page(call, &page);
    }
    TRY(lists_version(call, &version));
    if (call_query_is(call, "resourceVersionMatch", "Exact") && version != call->cluster->version)
        return refuse_unserved(call, "lists of an exact earlier version");
    page.version = call->cluster->version;
    page.items = lists_items(call, &selector, &page.version);
    page.until = json_array_size(page.items);
    if (limit && page.until > (size_t)limit) {
        page.until = (size_t)limit;
        page.next =
            arena_printf(call->ctx.arena, "%" PRIu64 ".%zu",
                         keep(call->cluster, (json_t *)(uintptr_t)page.items)->id, page.until);
    }
    return answer_page(call, &page);
}
