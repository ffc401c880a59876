/*
 * What the operator finds and does inside a registry's Harbor (manage.c), and the rules by which it
 * judges that. All of the rules are pure: equal findings give equal bytes, so that a quiet registry
 * is never written.
 */
#pragma once

#include "api/registry.h"
#include "reconcilers/backends/harbor.h"
#include "reconcilers/registry/probes.h"

struct ctx;
struct registry_scope;

/* What a look is after, in its order; each has a condition. */
enum manage_part { MANAGE_ACCOUNT, MANAGE_STORAGE, MANAGE_COLLECTION, MANAGE_PARTS };
extern const char *const manage_conditions[MANAGE_PARTS];

/* What one look found; zeroed, it is no news. */
struct registry_manage {
    struct registry_probe part[MANAGE_PARTS];
    const char *robot; /* as Harbor calls it; NULL = no news */
    bool usage_known;
    int64_t used_bytes, limit_bytes;
    struct harbor_gc_run run; /* the last one, ended; id 0 = no news */
};

/* What the images of a registry may take: the spec's word, else its size's. */
int64_t manage_limit_bytes(const struct registry_spec *spec, const json_t *size);

/* Between two garbage collections: the option's, else the size's collectHours; 0 = there are none.
 */
int64_t manage_collect_ms(int64_t option_ms, const json_t *size);

/*
 * status.usage: `before` (borrowed; NULL = none) while that is near enough, else a new one, in the
 * arena. It is told anew when it moved by a hundredth of the limit, when the limit was reached or
 * is so no more, and when it moved at all and was told an hour ago.
 */
json_t *manage_usage(struct ctx *ctx, const json_t *before, int64_t used_bytes, int64_t limit_bytes,
                     int64_t now_ms);
/* Less is left than the smallest step of a limit: every push is refused. */
bool manage_is_full(int64_t used_bytes, int64_t limit_bytes);
/* So little is left that several projects together could soon take more than there is. */
bool manage_is_tight(int64_t used_bytes, int64_t limit_bytes);

/*
 * What is known of the two logins. Harbor locks a name for a moment after anybody's wrong password,
 * so the customer is believed to have changed the administrator's only after several refusals in a
 * row; and nothing is believed that this process has not seen.
 */
enum { MANAGE_REFUSALS_BELIEVED = 3 };
struct manage_logins {
    enum harbor_word robot, admin; /* in this look */
    int refusals;                  /* of the administrator's, in a row, this look's counted */
    bool proved;                   /* Harbor took the administrator's since this process began */
};

/* Until the administrator's login is tried again: 2 s after a first refusal, four times as long
 * after each further one, a day at most; 0 = at once. */
int64_t manage_admin_wait_ms(int refusals);

/* The rc of harbor_account(), whose error stands in ctx->err. No news: Harbor did not answer. */
struct registry_probe manage_account_verdict(struct ctx *ctx, int rc,
                                             const struct manage_logins *logins);
struct registry_probe manage_quota_verdict(struct ctx *ctx, const struct harbor_quota *quota,
                                           int64_t limit_bytes, const struct manage_logins *logins);
/*
 * Of a part that a look did not come to, or not to the end of; `failed` names the step and the
 * reason. No news after one failure, for one lost packet is no outage: but unknown where this
 * process has not known it yet.
 */
struct registry_probe manage_failed_verdict(struct ctx *ctx, const struct manage_memory *memory,
                                            enum manage_part part, const char *failed);
/* No news while one is under way. */
struct registry_probe manage_run_verdict(struct ctx *ctx, const struct harbor_gc_run *run);

/* Is it time for a garbage collection, `interval_ms` after the last one ended or, before the first,
 * after the registry was made? Times of Harbor's that cannot be read are long ago. */
bool manage_collect_due(const struct harbor_gc_run *last, const char *made, int64_t interval_ms,
                        int64_t now_ms);
/* What this pass wants of a look. */
struct manage_wish {
    int64_t generation;
    bool guards; /* the bucket fails: see only that nothing is collected */
    bool told;   /* the status has the condition Managed */
    bool news;   /* another password of the administrator is kept */
};

/* Is a look due? If not, *ret_wait_ms is how long it is still. After a failure nothing but the wait
 * counts, for each look may hold a worker until its timeout; only a bucket that begins to fail, and
 * a new password, are looked at all the same. */
bool manage_is_due(const struct manage_wish *wish, const struct manage_memory *memory,
                   int64_t interval_ms, int64_t now_ms, int64_t *ret_wait_ms);
/* Until the next look: the interval, less after failures and refusals, after one that is not ended,
 * and while storage is tight.
 */
int64_t manage_wait_ms(int64_t interval_ms, const struct manage_memory *memory);

/* Whose slots a look takes: those whose last one failed hold up each other only, for such a look
 * may last until its timeout. */
const char *manage_gate(const struct manage_memory *memory);

/* Puts into a status what the look found; conditions of a Harbor that nobody asks go. */
void registry_manage_status(struct ctx *ctx, const struct registry_scope *scope, json_t *status);
