#include "server/dev/faultproxy/told.h"

#include "server/base/json.h"

/* What came with this version was not there yet. */
static void go_before(const char *version, int64_t *newest)
{
    int64_t number;
    if (str_to_int(version ? version : "", 1, INT64_MAX, &number) && number - 1 < *newest)
        *newest = number - 1;
}

/* Those that are gone; none in a list of fields or a further page, for who belongs there is not
 * known. */
static void add_ended(struct exchange *exchange, json_t *old, int64_t *newest)
{
    const char *selector = exchange_query(exchange, "labelSelector");
    if (exchange_query(exchange, "fieldSelector") || exchange_query(exchange, "continue"))
        return;
    struct proxy *proxy = exchange->proxy;
    json_t *ended = memory_ended(&exchange->ctx, proxy->memory, &exchange->target, selector), *row;
    size_t at;
    json_array_foreach(ended, at, row) {
        json_array_append(old, json_object_get(row, "before"));
        go_before(json_str(row, "version"), newest);
    }
}

/* Every item as it was before; the list says the version that it had then. */
static void make_list_stale(struct exchange *exchange, json_t *list)
{
    json_t *items = json_object_get(list, "items"), *item, *old = json_array();
    int64_t newest = INT64_MAX;
    size_t at;
    json_array_foreach(items, at, item) {
        json_t *before =
            memory_before(&exchange->ctx, exchange->proxy->memory, &exchange->target, item);
        if (before)
            json_array_append(old, before);
        if (before != item)
            go_before(json_str(item, "metadata.resourceVersion"), &newest);
    }
    add_ended(exchange, old, &newest);
    json_object_set_new(list, "items", old);
    if (newest < INT64_MAX)
        json_put(list, "metadata.resourceVersion",
                 json_string(arena_printf(exchange->ctx.arena, "%lld", (long long)newest)));
}

static void reverse(json_t *list)
{
    json_t *items = json_object_get(list, "items"), *back = json_array();
    for (size_t at = json_array_size(items); at-- > 0;)
        json_array_append(back, json_array_get(items, at));
    json_object_set_new(list, "items", back);
}

/* What the row makes of an answer, be it the same; NULL = there was none. */
static json_t *otherwise(struct exchange *exchange, json_t *answer)
{
    bool stale = exchange->fault.action == FAULT_STALE;
    if ((!stale && exchange->fault.action != FAULT_REORDER) || !str_equal(exchange->method, "GET"))
        return answer;
    if (!json_object_get(answer, "items"))
        return stale ? memory_before(&exchange->ctx, exchange->proxy->memory, &exchange->target,
                                     answer)
                     : answer;
    json_t *list = arena_json(exchange->ctx.arena, json_copy(answer));
    json_object_set_new(list, "metadata", json_copy(json_object_get(list, "metadata")));
    if (stale)
        make_list_stale(exchange, list);
    else
        reverse(list);
    return list;
}

/* Remembers the objects of an answer; what the client gets, NULL = there was none. */
static json_t *pass(struct exchange *exchange, bool is_new, json_t *answer)
{
    struct proxy *proxy = exchange->proxy;
    pthread_mutex_lock(&proxy->lock);
    memory_note_answer(exchange->ctx.arena, proxy->memory, &exchange->target, answer, is_new);
    json_t *other = otherwise(exchange, answer);
    if (json_equal(other, answer) || !faults_hit(proxy->faults, &exchange->fault))
        other = answer;
    pthread_mutex_unlock(&proxy->lock);
    return other;
}

/* A stale read of what is gone; NULL: it was never seen. */
static const char *recall(struct exchange *exchange, int *status)
{
    struct proxy *proxy = exchange->proxy;
    pthread_mutex_lock(&proxy->lock);
    json_t *last = memory_last(&exchange->ctx, proxy->memory, &exchange->target);
    if (last && !faults_hit(proxy->faults, &exchange->fault))
        last = NULL;
    pthread_mutex_unlock(&proxy->lock);
    *status = last ? MHD_HTTP_OK : MHD_HTTP_NOT_FOUND;
    return last ? json_text(exchange->ctx.arena, last) : NULL;
}

const char *told_body(struct exchange *exchange, const struct http_response *real, int *status)
{
    json_t *answer;
    const char *recalled = NULL;
    bool reads = str_equal(exchange->method, "GET");
    if (reads && real->status == MHD_HTTP_NOT_FOUND && exchange->fault.action == FAULT_STALE)
        recalled = recall(exchange, status);
    if (recalled)
        return recalled;
    bool fit = exchange->target.resource && real->status < 300 && *real->body == '{' &&
               json_parse_foreign(&exchange->ctx, real->body, real->body_bytes, HTTP_BODY_MAX_BYTES,
                                  &answer) == 0;
    if (!fit || str_equal(json_str(answer, "kind"), "Status"))
        return real->body;
    json_t *told = pass(exchange, real->status == MHD_HTTP_CREATED, answer);
    if (told == answer)
        return real->body;
    if (told)
        return json_text(exchange->ctx.arena, told);
    *status = MHD_HTTP_NOT_FOUND;
    return exchange_status(exchange, "NotFound", *status);
}
