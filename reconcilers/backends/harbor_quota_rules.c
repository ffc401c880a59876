#include "reconcilers/backends/harbor_quota_rules.h"

#include "reconcilers/backends/harbor.h"

enum { MIB = 1 << 20, SIGN = 0x9e37b, SEALED = 1 };

/* Both >= 0. */
static int64_t sum(int64_t a, int64_t b)
{
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

int64_t harbor_quota_free(int64_t limit, int64_t used_sum)
{
    return used_sum < limit ? limit - used_sum : 0;
}

bool harbor_quota_is_ours(int64_t hard)
{
    return hard == SEALED || (hard > 0 && hard % MIB == SIGN);
}

int64_t harbor_quota_cap(int64_t used, int64_t room)
{
    int64_t most = sum(used, room);
    return most < SIGN ? SEALED : (most - SIGN) / MIB * MIB + SIGN;
}

static bool is_too_much(const struct harbor_project *project, int64_t room)
{
    return project->hard == HARBOR_UNLIMITED || project->hard > sum(project->used, sum(room, room));
}

/* Only for limits of ours; the MiB is what rounding took. */
static bool is_too_little(const struct harbor_project *project, int64_t room)
{
    return project->hard < sum(project->used, room / 2) - MIB;
}

bool harbor_quota_is_lifted(const struct harbor_project *project, int64_t room)
{
    return room != HARBOR_UNLIMITED && !harbor_quota_is_ours(project->hard) &&
           is_too_much(project, room);
}

enum harbor_quota_move harbor_quota_decide(const struct harbor_project *project, int64_t room,
                                           int64_t *ret_hard)
{
    bool ours = harbor_quota_is_ours(project->hard);
    *ret_hard = project->hard;
    if (room == HARBOR_UNLIMITED) {
        if (ours)
            *ret_hard = HARBOR_UNLIMITED;
        return ours ? QUOTA_LOOSEN : QUOTA_KEEP;
    }
    bool too_much = is_too_much(project, room);
    if (!too_much && !(ours && is_too_little(project, room)))
        return QUOTA_KEEP;
    *ret_hard = harbor_quota_cap(project->used, room);
    if (*ret_hard == project->hard)
        return QUOTA_KEEP;
    return too_much ? QUOTA_TIGHTEN : QUOTA_LOOSEN;
}
