/* The zones of a class's pods, by name in the world and in the ledger, by number in the engine.
 * Only where the class minds: else all of its pods are in zone 0. */
#include "reconcilers/pipeline/board.h"

#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <string.h>

bool zones_matter(const struct board_class *class)
{
    return class->workers && class->workers->class.spec.zones_min > 1;
}

int zones_read(struct board *board, struct board_class *class)
{
    const json_t *names = json_at(class->kept, "zones");
    size_t at;
    json_t *name;
    class->kept_zones = json_str_or(class->kept, "podZones", "");
    if (json_array_size(names) > PLACE_ZONES_MAX)
        return err_set(board->ctx, ERR_INVALID, NULL, "class '%s' has more than %d zones",
                       class->name, PLACE_ZONES_MAX);
    json_array_foreach(names, at, name)
        class->zones[class->zone_count++] = json_string_value(name) ? json_string_value(name) : "";
    return 0;
}

/* More zones than the engine knows count as one with the last. */
static uint32_t number_of(struct board_class *class, const char *name)
{
    uint32_t at = 0;
    while (at < class->zone_count && !str_equal(class->zones[at], name))
        at++;
    if (at == PLACE_ZONES_MAX)
        return at - 1;
    if (at == class->zone_count)
        class->zones[class->zone_count++] = name;
    return at;
}

uint32_t zone_now(struct board_class *class, const struct worker *worker,
                  const struct place_pod *known)
{
    if (!zones_matter(class) || worker->state == POD_ABSENT)
        return 0;
    if (worker->zone)
        return number_of(class, worker->zone);
    if (worker->state == POD_STARTING) /* it is told its zone with its node */
        return known->state != POD_ABSENT ? known->zone
                                          : known->ordinal % class->workers->class.spec.zones_min;
    return number_of(class, "");
}

uint32_t zone_kept(struct board_class *class, uint32_t ordinal)
{
    const struct worker worker = world_worker(class->workers, ordinal);
    const struct place_pod none = {.ordinal = ordinal};
    return ordinal < strlen(class->kept_zones)
               ? (uint32_t)(unsigned char)class->kept_zones[ordinal] - '0'
               : zone_now(class, &worker, &none);
}

void zones_write(const struct board *board, uint32_t class_id, uint32_t pods, json_t *ret)
{
    const struct board_class *class = &board->classes[class_id];
    char text[WORLD_PODS_MAX + 1];
    uint32_t used_zones = 0;
    if (!zones_matter(class))
        return;
    for (uint32_t at = 0; at < pods; at++) {
        int64_t used, leaving;
        uint32_t zone = placement_pod_look(board->placement, class_id, at, &used, &leaving).zone;
        text[at] = (char)('0' + zone);
        used_zones = zone + 1 > used_zones ? zone + 1 : used_zones;
    }
    text[pods] = '\0';
    json_t *names = json_array();
    for (uint32_t at = 0; at < class->zone_count && at < used_zones; at++)
        json_array_append_new(names, json_string(class->zones[at]));
    json_object_update_new(ret, json_pack("{s:o, s:s}", "zones", names, "podZones", text));
}

void zones_note(const struct board *board, uint32_t class_id, struct class_note *note)
{
    const struct board_class *class = &board->classes[class_id];
    if (!zones_matter(class))
        return;
    note->zone_count = class->zone_count;
    for (uint32_t at = 0; at < class->zone_count; at++)
        note->zones[at].name = class->zones[at];
    for (uint32_t at = 0; at < class->workers->count; at++) {
        int64_t used, leaving;
        struct place_pod pod = placement_pod_look(board->placement, class_id, at, &used, &leaving);
        const struct worker *worker = &class->workers->pods[at];
        if (pod.state != POD_READY || pod.zone >= note->zone_count)
            continue;
        note->zones[pod.zone].ready++;
        note->zones[pod.zone].used += used;
        if (!worker->zone && !note->zoneless)
            note->zoneless = worker->name;
    }
}
