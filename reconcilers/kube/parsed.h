/*
 * parsed: the trees of entries that were read lately. A pass that looks at a thousand objects for
 * one would parse them all each time; what is read once an hour is kept as text only. Readers share
 * a tree, which nobody may change. Internal to this room; thread-safe.
 */
#pragma once

#include "reconcilers/kube/table.h"

/* What all trees may take, as parsed.c reckons it; the least recently read ones go. One that would
 * take more than a sixteenth is parsed for each reader. */
enum { PARSED_MAX_BYTES = 48 << 20, PARSED_TREE_MAX_BYTES = PARSED_MAX_BYTES / 16 };

/* A reference, for parsed_release(). NULL when the text does not parse. */
json_t *parsed_hold(struct entry *entry);
void parsed_release(void *tree);
/* What those take that are kept. */
size_t parsed_bytes(void);
/* The entry ends. */
void parsed_forget(struct entry *entry);
