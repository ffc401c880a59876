/*
 * What the proxy has seen of objects, for reads that are stale: the present state and the one
 * before. Guarded by its owner; at most MEMORY_MAX objects, then it begins anew.
 */
#pragma once

#include "server/base/json.h"
#include "server/dev/faultproxy/target.h"

enum { MEMORY_MAX = 20000 };

struct memory;
struct memory *memory_new(void);
void memory_free(struct memory *memory);

/* An object as it passed by. is_new: there was none before it. */
void memory_note(struct arena *arena, struct memory *memory, const struct target *target,
                 const json_t *object, bool is_new);
/* As DELETED tells it to who watches what `selector` (labels; "" = all) finds. */
void memory_note_end(struct arena *arena, struct memory *memory, const struct target *target,
                     const json_t *object, const char *selector);
/* Each object that an answer holds: itself, or its items. Tables and mere metadata are no objects.
 */
void memory_note_answer(struct arena *arena, struct memory *memory, const struct target *target,
                        const json_t *answer, bool is_new);
/*
 * The state before the last change that passed by; `object` itself when none did, NULL when it was
 * not there. The arena's.
 */
json_t *memory_before(struct ctx *ctx, struct memory *memory, const struct target *target,
                      json_t *object);
/* The last that was known of what the target names and the server does not have; NULL = nothing. */
json_t *memory_last(struct ctx *ctx, struct memory *memory, const struct target *target);
/*
 * Those of the target that ended last: [{"before", "version"}], the version of the end. With a
 * selector only what such a watch told of, for nothing here reads selectors; NULL = none.
 */
json_t *memory_ended(struct ctx *ctx, struct memory *memory, const struct target *target,
                     const char *selector);
