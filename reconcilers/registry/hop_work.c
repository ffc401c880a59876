/*
 * The half of a hop that is outside of the cluster. All of it is done under the lock on the
 * identity, after the wish and the kept Secret were read once more: who was overtaken does nothing.
 * What goes to the object store asks before each part whether the lock is still held.
 */
#include "reconcilers/registry/hop_places.h"
#include "reconcilers/registry/room.h"

#include "server/base/clock.h"
#include "server/base/json.h"

static struct postgres_login login_of(struct ctx *ctx, const struct registry_scope *scope)
{
    return (struct postgres_login){registry_secret_value(ctx, scope->kept, "username"),
                                   registry_secret_value(ctx, scope->kept, "password")};
}

static struct backend_work work_of(struct pass *pass, enum backend_type type,
                                   const struct backend_lock *lock)
{
    struct registry_scope *scope = pass->scope;
    const struct registry_operator *home = pass->home;
    const json_t *size = json_object_get(home->sizes, room_size(scope));
    return (struct backend_work){
        .row = backend_rows[type],
        .home = home,
        .kube = pass_kube(pass),
        .identity = scope->spec.identity,
        .at = &scope->backends[type],
        .kept = scope->kept,
        .connections = (int)json_int_or(size, "connections", 0),
        .open = true,
        .lock = lock->held,
    };
}

int hop_look(struct ctx *ctx, struct pass *pass, struct postgres_schema *ret)
{
    _cleanup_backend_lock_ struct backend_lock lock = {0};
    TRY(registry_enter(ctx, pass, &lock));
    const struct postgres_login login = login_of(ctx, pass->scope);
    return postgres_schema_read(ctx, lock.held, &login, ret);
}

/* ---- dump and restore ---- */

static struct dump_work transfer_of(struct ctx *ctx, struct pass *pass,
                                    const struct backend_work *work)
{
    const struct registry_operator *home = pass->home;
    return (struct dump_work){.pg = work->lock,
                              .s3 = backend_s3_session(work),
                              .login = login_of(ctx, pass->scope),
                              .tools = home->postgres_tools};
}

/* Whoever leaves a place wakes the next; the clock does it for one that was lost. */
int hop_take_place(struct ctx *ctx, struct pass *pass, bool stopped)
{
    struct registry_scope *scope = pass->scope;
    const struct registry_operator *home = pass->home;
    pass_requeue(pass, HOP_PLACE_MS / 2);
    if (hop_places_take(home->places, &pass->key, stopped, clock_boottime_ms()))
        return 0;
    scope->hop.in_line = true;
    scope->hop.waits = "WaitingForPlace";
    return err_set(ctx, ERR_WAITING, "WaitingForPlace",
                   "as many other databases are being dumped or restored as may be at a time");
}

void hop_leave_place(struct pass *pass)
{
    const struct registry_operator *home = pass->home;
    struct key next;
    if (hop_places_leave(home->places, &pass->key, clock_boottime_ms(), &next))
        pass_wake(pass, &next);
}

void hop_yield_place(struct pass *pass, int64_t patience_ms)
{
    const struct registry_operator *home = pass->home;
    struct key next;
    if (hop_places_yield(home->places, &pass->key, patience_ms, clock_boottime_ms(), &next))
        pass_wake(pass, &next);
}

static void set_working(struct pass *pass, bool works)
{
    const struct registry_operator *home = pass->home;
    hop_places_work(home->places, &pass->key, works, clock_boottime_ms());
}

static int write_dump(struct ctx *ctx, struct pass *pass, struct backend_work *work)
{
    struct registry_scope *scope = pass->scope;
    const struct dump_work transfer = transfer_of(ctx, pass, work);
    return dump_write(ctx, &transfer, &scope->hop.state.dump);
}

static int read_dump(struct ctx *ctx, struct pass *pass, struct backend_work *work)
{
    const struct registry_scope *scope = pass->scope;
    const struct dump_work transfer = transfer_of(ctx, pass, work);
    return dump_read(ctx, &transfer, &scope->hop.state.dump);
}

static int dump(struct ctx *ctx, struct pass *pass, struct dump *ret)
{
    struct registry_scope *scope = pass->scope;
    _cleanup_backend_lock_ struct backend_lock lock = {0};
    TRY(registry_enter(ctx, pass, &lock));
    TRY(postgres_quiet(ctx, lock.held));
    TRY(postgres_drop_aside(ctx, lock.held));
    struct backend_work work = work_of(pass, BACKEND_S3, &lock);
    scope->hop.state.dump = *ret;
    TRY(backend_run(ctx, pass, &lock, &work, write_dump));
    *ret = scope->hop.state.dump;
    return 0;
}

int hop_dump(struct ctx *ctx, struct pass *pass, struct dump *ret)
{
    set_working(pass, true);
    int rc = dump(ctx, pass, ret);
    set_working(pass, false);
    return rc;
}

static int check_restored(struct ctx *ctx, struct pass *pass, const struct backend_lock *lock)
{
    const struct registry_scope *scope = pass->scope;
    const struct hop_state *before = &scope->hop.state;
    const struct postgres_login login = login_of(ctx, scope);
    struct postgres_schema schema;
    TRY(postgres_schema_read(ctx, lock->held, &login, &schema));
    if (schema.tables == before->tables && schema.version == before->schema && !schema.dirty)
        return 0;
    return err_set(ctx, ERR_REFUSED, "DumpDamaged",
                   "the restored database has %d tables and schema %lld, where there were %lld and "
                   "%lld",
                   schema.tables, (long long)schema.version, (long long)before->tables,
                   (long long)before->schema);
}

/* The fresh database is made by what makes a registry's first one. */
static int restore(struct ctx *ctx, struct pass *pass)
{
    _cleanup_backend_lock_ struct backend_lock lock = {0};
    TRY(registry_enter(ctx, pass, &lock));
    TRY(postgres_quiet(ctx, lock.held));
    TRY(postgres_set_aside(ctx, lock.held));
    struct backend_work database = work_of(pass, BACKEND_POSTGRESQL, &lock);
    TRY(database.row->observe(ctx, &database));
    TRY(database.row->converge(ctx, &database));
    struct backend_work store = work_of(pass, BACKEND_S3, &lock);
    TRY(backend_run(ctx, pass, &lock, &store, read_dump));
    return check_restored(ctx, pass, &lock);
}

int hop_restore(struct ctx *ctx, struct pass *pass)
{
    set_working(pass, true);
    int rc = restore(ctx, pass);
    set_working(pass, false);
    return rc;
}

int hop_forget_failed(struct ctx *ctx, struct pass *pass)
{
    _cleanup_backend_lock_ struct backend_lock lock = {0};
    TRY(registry_enter(ctx, pass, &lock));
    return postgres_drop_aside(ctx, lock.held);
}
