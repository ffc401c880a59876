/* Conditions: see conditions.h. They are changed in place, so that what is equal stays equal. */
#include "reconcilers/engine/conditions.h"

#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <stdarg.h>

enum { CONDITION_MESSAGE_BYTES = 1024 };

static json_t *bounded_text(const char *text)
{
    json_t *value = json_stringn(text, str_fit(text, CONDITION_MESSAGE_BYTES));
    return value ? value : json_string("(message is not UTF-8)");
}

static json_t *list_of(json_t *status_object)
{
    json_t *list = json_object_get(status_object, "conditions");
    if (!json_is_array(list)) {
        list = json_array();
        json_put(status_object, "conditions", list);
    }
    return list;
}

void condition_set(struct ctx *ctx, json_t *status_object, const char *type, const char *status,
                   const char *reason, int64_t generation, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *message = arena_vprintf(ctx->arena, format, args);
    va_end(args);

    json_t *condition = json_find(status_object, "conditions", "type", type);
    if (!condition) {
        condition = json_object();
        json_put(condition, "type", json_string(type));
        json_array_append_new(list_of(status_object), condition);
    }
    if (!str_equal(json_str(condition, "status"), status)) {
        char now[CLOCK_RFC3339_BYTES];
        clock_rfc3339(now, clock_wall_ms(), 0);
        json_put(condition, "lastTransitionTime", json_string(now));
    }
    json_put(condition, "status", json_string(status));
    json_put(condition, "reason", json_string(reason));
    json_put(condition, "message", bounded_text(message));
    json_put(condition, "observedGeneration", json_integer(generation));
}

void condition_remove(json_t *status_object, const char *type)
{
    size_t index;
    json_t *condition, *list = json_object_get(status_object, "conditions");
    json_array_foreach(list, index, condition) {
        if (str_equal(json_str(condition, "type"), type)) {
            json_array_remove(list, index);
            return;
        }
    }
}

const json_t *condition_get(const json_t *object_status, const char *type)
{
    return json_find(object_status, "conditions", "type", type);
}

int64_t condition_age_ms(const json_t *object_status, const char *type)
{
    int64_t since_ms;
    const char *since = json_str(condition_get(object_status, type), "lastTransitionTime");
    if (!since || clock_parse_rfc3339(since, &since_ms) < 0 || since_ms > clock_wall_ms())
        return -1;
    return clock_wall_ms() - since_ms;
}

bool condition_is(const json_t *object_status, const char *type, const char *status)
{
    return str_equal(json_str(condition_get(object_status, type), "status"), status);
}
