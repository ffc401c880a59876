/*
 * Conditions of a status, as metav1.Condition: a list-map by type. lastTransitionTime moves only
 * when status flips; a condition that does not change keeps its bytes, so that no write follows.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct ctx;

/* status: "True", "False", "Unknown". Types and reasons come from api/conditions.def. */
void condition_set(struct ctx *ctx, json_t *status_object, const char *type, const char *status,
                   const char *reason, int64_t generation, const char *format, ...)
    __attribute__((format(printf, 7, 8)));
void condition_remove(json_t *status_object, const char *type);
/* Borrowed, or NULL. */
const json_t *condition_get(const json_t *object_status, const char *type);
/* How long its status has been what it is, to the second; -1: there is no such condition. */
int64_t condition_age_ms(const json_t *object_status, const char *type);
bool condition_is(const json_t *object_status, const char *type, const char *status);
