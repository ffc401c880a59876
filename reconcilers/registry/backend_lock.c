/*
 * The lock of all backends, and the sessions under it. A server that has no locks of its own is
 * fenced by asking, right before each change, whether the session that holds the lock still lives:
 * where it does not, somebody else may be at work already.
 */
#include "reconcilers/registry/scope.h"

#include "server/adapters/crypto.h"
#include "server/base/json.h"

const struct backend_row *const backend_rows[BACKEND_TYPES] = {
    [BACKEND_POSTGRESQL] = &backend_postgres,
    [BACKEND_REDIS] = &backend_redis,
    [BACKEND_S3] = &backend_s3,
};

const struct backend_row *backend_row_of(enum backend_type type, const json_t *pool)
{
    return type == BACKEND_REDIS && pool_is_dedicated(pool) ? &backend_dedicated
                                                            : backend_rows[type];
}

int backend_busy(struct ctx *ctx, struct pass *pass, const json_t *pool, int rc)
{
    unsigned char jitter;
    if (rc != -ERR_OVERLOADED)
        return rc;
    crypto_random(&jitter, sizeof jitter);
    pass_requeue(pass, BUSY_MS + jitter % BUSY_MS);
    return err_set(ctx, ERR_WAITING, "PoolBusy", "enough workers are inside pool '%s'",
                   pool_name(pool));
}

/* The session that holds the lock asks the gate of the lease alone. */
static int check(struct ctx *ctx, const struct gate *gate)
{
    const struct backend_lock *lock = (const struct backend_lock *)(const void *)gate;
    ctx->gate = lock->outer;
    int rc = postgres_lives(ctx, lock->held);
    if (rc == 0)
        rc = ctx_may_write(ctx); /* the answer took its time */
    else if (rc != -ERR_LEASE_LOST)
        rc = err_wrap(ctx, rc, "the lock on the identity is gone");
    ctx->gate = gate;
    return rc;
}

int backend_lock(struct ctx *ctx, struct pass *pass, const struct registry_backend *at,
                 const char *identity, struct backend_lock *ret)
{
    struct backend_work work = {.row = backend_rows[BACKEND_POSTGRESQL],
                                .home = pass->home,
                                .kube = pass_kube(pass),
                                .identity = identity,
                                .at = at};
    if (!at->claim)
        return err_set(ctx, ERR_WAITING, "ClaimMissing",
                       "no claim of PostgreSQL is there, whose lock guards the other backends");
    TRY(backend_busy(ctx, pass, at->pool, work.row->begin(ctx, &work)));
    *ret = (struct backend_lock){.gate = {.check = check}, .outer = ctx->gate, .held = work.lock};
    return 0;
}

void backend_unlock(struct backend_lock *lock)
{
    postgres_end(lock->held);
    lock->held = NULL;
}

int backend_run(struct ctx *ctx, struct pass *pass, struct backend_lock *lock,
                struct backend_work *work, backend_act_fn *act)
{
    work->lock = lock->held;
    if (!work->row->fenced)
        return act(ctx, pass, work);
    TRY(backend_busy(ctx, pass, work->at->pool, work->row->begin(ctx, work)));
    ctx->gate = &lock->gate;
    int rc = act(ctx, pass, work);
    ctx->gate = lock->outer;
    work->row->end(work);
    return rc;
}
