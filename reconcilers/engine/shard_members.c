/*
 * Member Leases: one per process, renewed as long as it lives, deleted by whoever sees that it has
 * not changed for its duration. Of the lease thread alone.
 */
#include "reconcilers/engine/shards_internal.h"

#include "server/base/clock.h"
#include "server/base/str.h"

#include <stdio.h>

/* ---- who is there ---- */

/* NULL when it is not on record. */
static struct shard_member *find(struct shards *shards, const char *name)
{
    for (int at = 0; at < shards->member_count; at++)
        if (str_equal(shards->members[at].name, name))
            return &shards->members[at];
    return NULL;
}

int shard_members_note(struct ctx *ctx, struct shards *shards, const char *name,
                       struct lease_record **ret)
{
    struct shard_member *member = find(shards, name);
    if (!member && shards->member_count < SHARD_MEMBERS_MAX) {
        member = &shards->members[shards->member_count++];
        *member = (struct shard_member){0};
        snprintf(member->name, sizeof member->name, "%s", name);
    }
    if (!member)
        return err_set(ctx, ERR_OVERLOADED, "TooManyMembers",
                       "more than %d member Leases in namespace %s", SHARD_MEMBERS_MAX,
                       shards->options.namespace);
    member->seen = true;
    *ret = &member->record;
    return 0;
}

void shard_members_unsee(struct shards *shards)
{
    for (int at = 0; at < shards->member_count; at++)
        shards->members[at].seen = false;
}

void shard_members_drop_unseen(struct shards *shards)
{
    int kept = 0;
    for (int at = 0; at < shards->member_count; at++)
        if (shards->members[at].seen)
            shards->members[kept++] = shards->members[at];
    shards->member_count = kept;
}

int shard_members_live(const struct shards *shards, const char *live[SHARD_MEMBERS_MAX + 1])
{
    int count = 0;
    live[count++] = shards->options.identity;
    for (int at = 0; at < shards->member_count; at++)
        if (!str_equal(shards->members[at].name, shards->options.identity) &&
            shards->members[at].record.exists)
            live[count++] = shards->members[at].name;
    return count;
}

/* ---- our own ---- */

static const char *lease_name(struct ctx *ctx, const char *identity)
{
    return arena_printf(ctx->arena, MEMBER_PREFIX "%s", identity);
}

/* Not ours any more: fenced by somebody who believed us dead, or removed by hand. */
static int lose(struct ctx *ctx, struct shards *shards)
{
    shards->own.held = false;
    shards_drop_all(shards);
    return err_set(ctx, ERR_LEASE_LOST, NULL, "member Lease '%s' was changed by somebody else",
                   shards->options.identity);
}

static bool is_due(const struct shards *shards)
{
    return !shards->own.held ||
           clock_boottime_ms() - shards->own.sent_ms >= shards->options.renew_ms;
}

int shard_members_renew(struct ctx *ctx, struct shards *shards, uint64_t *acquired)
{
    int64_t now_ms = clock_boottime_ms();
    struct lease_record *record = NULL;
    TRY(shard_members_note(ctx, shards, shards->options.identity, &record));
    if (record->exists && !is_due(shards))
        return 0;
    if (!record->exists && shards->own.held)
        return lose(ctx, shards);
    const struct lease_write write = {
        .name = lease_name(ctx, shards->options.identity),
        .label = "member",
        .holder = shards->options.identity,
        .take = !shards->own.held,
    };
    int rc = lease_write(ctx, shards, &write, record);
    if (lease_raced(rc) && shards->own.held)
        return lose(ctx, shards);
    TRY(rc);
    shards->own = (struct lease_hold){.held = true, .sent_ms = now_ms};
    *acquired |= shards_note_renewed(shards, now_ms);
    return 0;
}

void shard_members_leave(struct ctx *ctx, struct shards *shards)
{
    if (!shards->own.held)
        return;
    int rc = lease_remove(ctx, shards, lease_name(ctx, shards->options.identity), NULL);
    if (rc < 0 && rc != -ERR_NOT_FOUND)
        log_failure(ctx, "giving the Leases back"); /* they run out by themselves */
}

/* ---- others ---- */

static bool is_another(const struct shards *shards, const struct shard_member *member)
{
    return member->record.exists && !str_equal(member->name, shards->options.identity);
}

void shard_members_hear(struct shards *shards, const struct shard_heard *heard)
{
    struct shard_member *member = find(shards, heard->name);
    if (member && is_another(shards, member) &&
        kube_version_compare(heard->record.version, member->record.version) > 0)
        member->record = heard->record;
}

int64_t shard_members_wait_ms(const struct shards *shards, int64_t now_ms, int64_t at_most_ms)
{
    int64_t wait_ms = at_most_ms;
    for (int at = 0; at < shards->member_count; at++) {
        const struct shard_member *member = &shards->members[at];
        int64_t left_ms = lease_left_ms(&member->record, now_ms);
        if (is_another(shards, member) && left_ms > 0 && left_ms < wait_ms)
            wait_ms = left_ms;
    }
    return wait_ms;
}

/*
 * Refused: it lives, and was not heard of: the next round lists. When the server could not do it,
 * the member counts as living, too: nothing of it is taken, our own renewals go on, and the next
 * round tries again.
 */
static void fence(struct ctx *ctx, struct shards *shards, struct shard_member *member)
{
    int rc = lease_remove(ctx, shards, lease_name(ctx, member->name), member->record.version);
    bool failed = rc < 0 && !lease_raced(rc);
    if (rc == 0 || rc == -ERR_NOT_FOUND)
        member->record.exists = false;
    if (failed && !member->told)
        log_failure(ctx, "removing the Lease of a member that is gone");
    shards->look_now |= lease_raced(rc);
    member->told = failed;
    err_clear(ctx);
}

void shard_members_fence_dead(struct ctx *ctx, struct shards *shards)
{
    for (int at = 0; at < shards->member_count; at++) {
        struct shard_member *member = &shards->members[at];
        if (is_another(shards, member) && lease_expired(&member->record, clock_boottime_ms()))
            fence(ctx, shards, member);
    }
}
