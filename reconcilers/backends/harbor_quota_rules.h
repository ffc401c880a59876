/*
 * How a limit of the whole registry is held by limits of its projects. Pure arithmetic; the
 * reasoning stands in docs/adr/0009-quota-of-a-registry.md.
 *
 * A limit that we set can be told from one that a customer set by its last 20 bits (people count in
 * MiB and more, and never meet them), or it is 1 byte: that project may take nothing at all.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct harbor_project {
    int64_t quota_id;
    int64_t used, hard; /* bytes; hard HARBOR_UNLIMITED = none */
};

/* Bytes between the limit and the sum of what is used; 0 when it is passed. limit >= 0 */
int64_t harbor_quota_free(int64_t limit, int64_t used_sum);
/* Is this limit one that we set? */
bool harbor_quota_is_ours(int64_t hard);
/* The largest limit of ours that lets a project of `used` bytes grow by `room` at most. */
int64_t harbor_quota_cap(int64_t used, int64_t room);

/* Is it one that somebody else set, and that allows more than twice the room (HARBOR_UNLIMITED: no
 * limit is too high)? One of ours that others' growth made too high is not. */
bool harbor_quota_is_lifted(const struct harbor_project *project, int64_t room);

enum harbor_quota_move { QUOTA_KEEP, QUOTA_TIGHTEN, QUOTA_LOOSEN };

/*
 * What to do about a project's limit where `room` bytes are free (HARBOR_UNLIMITED: no limit holds)
 * and what it becomes. One between half and twice the room is left alone, so that limits are
 * written when the room has halved, not with each push.
 */
enum harbor_quota_move harbor_quota_decide(const struct harbor_project *project, int64_t room,
                                           int64_t *ret_hard);
