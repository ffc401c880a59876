/*
 * asked: which pods of a class are to be there, by their numbers, where we say so. Pure: it follows
 * from the ledger before, the decision and the world, and is committed with the decision, so that
 * whoever replays a ledger asks for the same. What is not asked for is none to the next decision: a
 * pod that may be gone at any moment gets nothing any more.
 */
#pragma once

#include "reconcilers/pipeline/world.h"

struct ctx;

/* Into the classes of `made`, the ledger that was decided; `was`: the one before, or NULL. */
void asked_put(struct ctx *ctx, const struct world *world, const json_t *was, json_t *made);
/* Takes out of the world which pods the ledger does not ask for. */
void asked_close(struct world *world, const json_t *ledger);
/* How many the entry of a class asks for; -1 = it does not say. */
int64_t asked_count(const json_t *entry);
/* The number is asked for, or nothing is said about any. */
bool asked_for(const json_t *entry, uint32_t ordinal);
