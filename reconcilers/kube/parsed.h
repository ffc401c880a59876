/*
 * parsed: the trees of entries that were read lately. A pass that looks at a thousand objects for
 * one would parse them all each time; what is read once an hour is kept as text only. Readers share
 * a tree, which nobody may change. Internal to this room; thread-safe.
 */
#pragma once

#include "reconcilers/kube/table.h"

/* The texts of all trees together; as trees they take about six times as much memory. The least
 * recently read ones go. */
enum { PARSED_MAX_BYTES = 8 << 20 };

/* A reference, for parsed_release(). NULL when the text does not parse. */
json_t *parsed_hold(struct entry *entry);
void parsed_release(json_t *tree);
/* Of the texts of all trees that are kept. */
size_t parsed_bytes(void);
/* The entry ends. */
void parsed_forget(struct entry *entry);
