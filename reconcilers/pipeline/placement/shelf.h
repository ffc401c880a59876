/*
 * shelf: pods with room, ordered by free capacity and then by ordinal. A weight-balanced tree
 * (Adams 1992, with the parameters <3,2> that Hirai and Yamamoto proved in 2011): the counts that
 * balance it also answer how many pods have at least so much. Every operation O(log pods); nodes
 * are the pods themselves, links are ordinals.
 */
#pragma once

#include <stdint.h>

struct shelf_node {
    int64_t room; /* the key; it changes only while the node is out of the tree */
    uint32_t left, right, count;
};

/* Root of a tree over `nodes`; UINT32_MAX = empty. */
uint32_t shelf_insert(struct shelf_node *nodes, uint32_t root, uint32_t at);
uint32_t shelf_remove(struct shelf_node *nodes, uint32_t root, uint32_t at);

/* The first at or after (room, ordinal); UINT32_MAX = none. */
uint32_t shelf_ceiling(const struct shelf_node *nodes, uint32_t root, int64_t room,
                       uint32_t ordinal);
/* The largest room below `room`; -1 = none. */
int64_t shelf_below(const struct shelf_node *nodes, uint32_t root, int64_t room);
/* How many have at least `room`. */
uint32_t shelf_count(const struct shelf_node *nodes, uint32_t root, int64_t room);
