#include "reconcilers/pipeline/placement/shelf.h"

#include <stdbool.h>

#define NONE UINT32_MAX
enum {
    HEAVY = 3,
    DOUBLE = 2
}; /* how many times heavier a side may be; when one rotation is not enough */

static uint32_t count_of(const struct shelf_node *nodes, uint32_t at)
{
    return at == NONE ? 0 : nodes[at].count;
}

static bool is_before(const struct shelf_node *nodes, uint32_t a, int64_t room, uint32_t ordinal)
{
    return nodes[a].room != room ? nodes[a].room < room : a < ordinal;
}

static uint32_t recount(struct shelf_node *nodes, uint32_t at)
{
    nodes[at].count = count_of(nodes, nodes[at].left) + count_of(nodes, nodes[at].right) + 1;
    return at;
}

static uint32_t rotate_left(struct shelf_node *nodes, uint32_t at)
{
    uint32_t up = nodes[at].right;
    nodes[at].right = nodes[up].left;
    nodes[up].left = recount(nodes, at);
    return recount(nodes, up);
}

static uint32_t rotate_right(struct shelf_node *nodes, uint32_t at)
{
    uint32_t up = nodes[at].left;
    nodes[at].left = nodes[up].right;
    nodes[up].right = recount(nodes, at);
    return recount(nodes, up);
}

/* Weights are counts + 1, so that an empty side has one. */
static bool is_heavier(const struct shelf_node *nodes, uint32_t a, uint32_t b, uint32_t factor)
{
    return count_of(nodes, a) + 1 > factor * (count_of(nodes, b) + 1);
}

static uint32_t balance(struct shelf_node *nodes, uint32_t at)
{
    struct shelf_node *node = &nodes[at];
    if (is_heavier(nodes, node->right, node->left, HEAVY)) {
        const struct shelf_node *heavy = &nodes[node->right];
        if (count_of(nodes, heavy->left) + 1 >= DOUBLE * (count_of(nodes, heavy->right) + 1))
            node->right = rotate_right(nodes, node->right);
        return rotate_left(nodes, at);
    }
    if (is_heavier(nodes, node->left, node->right, HEAVY)) {
        const struct shelf_node *heavy = &nodes[node->left];
        if (count_of(nodes, heavy->right) + 1 >= DOUBLE * (count_of(nodes, heavy->left) + 1))
            node->left = rotate_left(nodes, node->left);
        return rotate_right(nodes, at);
    }
    return recount(nodes, at);
}

uint32_t shelf_insert(struct shelf_node *nodes, uint32_t root, uint32_t at)
{
    if (root == NONE) {
        nodes[at].left = nodes[at].right = NONE;
        return recount(nodes, at);
    }
    if (is_before(nodes, root, nodes[at].room, at))
        nodes[root].right = shelf_insert(nodes, nodes[root].right, at);
    else
        nodes[root].left = shelf_insert(nodes, nodes[root].left, at);
    return balance(nodes, root);
}

/* Takes the leftmost out of the tree; *ret_first is it. */
static uint32_t remove_first(struct shelf_node *nodes, uint32_t root, uint32_t *ret_first)
{
    if (nodes[root].left == NONE) {
        *ret_first = root;
        return nodes[root].right;
    }
    nodes[root].left = remove_first(nodes, nodes[root].left, ret_first);
    return balance(nodes, root);
}

uint32_t shelf_remove(struct shelf_node *nodes, uint32_t root, uint32_t at)
{
    if (root != at) {
        if (is_before(nodes, root, nodes[at].room, at))
            nodes[root].right = shelf_remove(nodes, nodes[root].right, at);
        else
            nodes[root].left = shelf_remove(nodes, nodes[root].left, at);
        return balance(nodes, root);
    }
    if (nodes[at].left == NONE)
        return nodes[at].right;
    if (nodes[at].right == NONE)
        return nodes[at].left;
    uint32_t next;
    uint32_t right = remove_first(nodes, nodes[at].right, &next);
    nodes[next].right = right;
    nodes[next].left = nodes[at].left;
    return balance(nodes, next);
}

uint32_t shelf_ceiling(const struct shelf_node *nodes, uint32_t root, int64_t room,
                       uint32_t ordinal)
{
    uint32_t found = NONE;
    while (root != NONE) {
        bool before = is_before(nodes, root, room, ordinal);
        found = before ? found : root;
        root = before ? nodes[root].right : nodes[root].left;
    }
    return found;
}

int64_t shelf_below(const struct shelf_node *nodes, uint32_t root, int64_t room)
{
    int64_t found = -1;
    while (root != NONE) {
        bool below = nodes[root].room < room;
        found = below ? nodes[root].room : found;
        root = below ? nodes[root].right : nodes[root].left;
    }
    return found;
}

uint32_t shelf_count(const struct shelf_node *nodes, uint32_t root, int64_t room)
{
    uint32_t found = 0;
    while (root != NONE) {
        bool enough = nodes[root].room >= room;
        found += enough ? count_of(nodes, nodes[root].right) + 1 : 0;
        root = enough ? nodes[root].left : nodes[root].right;
    }
    return found;
}
