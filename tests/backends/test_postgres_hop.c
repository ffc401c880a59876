/*
 * The database's half of a hop on a real PostgreSQL: what is read of the schema, who is put out,
 * and a dump that brings back what was there, with the registry's rights and no others.
 */
#include "tests/backends/servers.h"

#include "reconcilers/backends/gate.h"
#include "reconcilers/backends/postgres.h"
#include "server/adapters/child.h"
#include "server/adapters/pg.h"
#include "server/base/cleanup.h"

enum { ARCHIVE_MAX = 1 << 20 };

#define IDENTITY "abcdefghijklmnop"
#define NAME "t_" IDENTITY
#define PASSWORD "canaryofthisveryregistry"

static struct servers servers;
static struct backend_gates *gates;

struct world {
    struct ctx *ctx;
    struct postgres_pool pool;
    struct postgres *pg;
};

static const struct postgres_login login = {NAME, PASSWORD};

static void open_world(struct ctx *ctx, struct world *ret)
{
    const char *port = servers_value(ctx, &servers, "POOL_PG_PORT");
    char *password = servers_file(ctx, servers_value(ctx, &servers, "POOL_PG_ADMIN_PASSWORD_FILE"));
    password[strcspn(password, "\n")] = '\0';
    *ret = (struct world){
        .ctx = ctx,
        .pool = {.name = "pool",
                 .host = servers_value(ctx, &servers, "POOL_PG_HOST"),
                 .port = (int)strtol(port, NULL, 10),
                 .ssl_mode = "disable",
                 .user = servers_value(ctx, &servers, "POOL_PG_ADMIN_USER"),
                 .password = password,
                 .maintenance = servers_value(ctx, &servers, "POOL_PG_MAINTENANCE_DATABASE"),
                 .cell = "cell",
                 .gates = gates}};
}

static void converge(struct world *world)
{
    const struct postgres_want want = {
        .identity = IDENTITY, .password = PASSWORD, .connection_limit = 10, .open = true};
    struct postgres_state state;
    SUCCEEDS(world->ctx, postgres_observe(world->ctx, world->pg, &state));
    SUCCEEDS(world->ctx, postgres_create(world->ctx, world->pg, &want, &state));
    SUCCEEDS(world->ctx, postgres_update(world->ctx, world->pg, &want, &state));
}

/* A registry's database, and the lock on it. */
static void begin(struct ctx *ctx, struct world *ret)
{
    open_world(ctx, ret);
    SUCCEEDS(ctx, postgres_begin(ctx, &ret->pool, IDENTITY, &ret->pg));
    converge(ret);
}

static void end(struct world *world)
{
    SUCCEEDS(world->ctx, postgres_remove(world->ctx, world->pg));
    postgres_end(world->pg);
}

static struct pg *session_of(struct world *world, const char *user, const char *password)
{
    struct pg *pg = NULL;
    SUCCEEDS(world->ctx, pg_open(world->ctx,
                                 arena_printf(world->ctx->arena,
                                              "host=%s port=%d user=%s password=%s dbname=" NAME,
                                              world->pool.host, world->pool.port, user, password),
                                 &pg));
    return pg;
}

static void run(struct world *world, const char *sql)
{
    struct pg *pg = session_of(world, NAME, PASSWORD);
    SUCCEEDS(world->ctx, pg_script(world->ctx, pg, sql));
    pg_close(pg);
}

static const char *value(struct world *world, const char *sql)
{
    struct pg *pg = session_of(world, NAME, PASSWORD);
    struct pg_rows rows;
    SUCCEEDS(world->ctx, pg_query(world->ctx, pg, sql, 0, NULL, &rows));
    const char *text = arena_strdup(world->ctx->arena, pg_value(&rows, 0, 0));
    pg_close(pg);
    return text;
}

/* ---- the schema ---- */

static void schema__is_what_the_last_migration_noted(void **state)
{
    struct ctx *ctx = *state;
    struct world world;
    struct postgres_schema schema;
    begin(ctx, &world);
    SUCCEEDS(ctx, postgres_schema_read(ctx, world.pg, &login, &schema));
    assert_int_equal(schema.tables, 0);
    assert_int_equal(schema.version, -1);
    assert_true(schema.server >= 13);
    run(&world, "CREATE TABLE other (a int)");
    SUCCEEDS(ctx, postgres_schema_read(ctx, world.pg, &login, &schema));
    assert_int_equal(schema.tables, 1);
    assert_int_equal(schema.version, -1);
    run(&world, "CREATE TABLE schema_migrations (version bigint, dirty boolean);"
                "INSERT INTO schema_migrations VALUES (171, true)");
    SUCCEEDS(ctx, postgres_schema_read(ctx, world.pg, &login, &schema));
    assert_int_equal(schema.version, 171);
    assert_true(schema.dirty);
    run(&world, "DROP TABLE schema_migrations; CREATE TABLE schema_migrations (version text)");
    assert_true(postgres_schema_read(ctx, world.pg, &login, &schema) < 0);
    err_clear(ctx);
    end(&world);
}

static void sessions_that_are_left__are_ended(void **state)
{
    struct ctx *ctx = *state;
    struct world world;
    begin(ctx, &world);
    struct pg *left = session_of(&world, NAME, PASSWORD);
    SUCCEEDS(ctx, postgres_quiet(ctx, world.pg));
    assert_true(pg_script(ctx, left, "SELECT 1") < 0);
    err_clear(ctx);
    pg_close(left);
    SUCCEEDS(ctx, postgres_quiet(ctx, world.pg));
    end(&world);
}

/* ---- dump, aside, restore ---- */

static size_t dump(struct world *world, char *archive)
{
    _cleanup_child_ struct child *child = NULL;
    size_t bytes;
    SUCCEEDS(world->ctx, postgres_dump_start(world->ctx, world->pg, &login, "", &child));
    SUCCEEDS(world->ctx, child_read(world->ctx, child, archive, ARCHIVE_MAX, &bytes));
    SUCCEEDS(world->ctx, child_finish(world->ctx, child));
    return bytes;
}

static int restore(struct world *world, const char *archive, size_t bytes)
{
    _cleanup_child_ struct child *child = NULL;
    SUCCEEDS(world->ctx, postgres_restore_start(world->ctx, world->pg, &login, "", &child));
    TRY(child_write(world->ctx, child, archive, bytes));
    return child_finish(world->ctx, child);
}

/*
 * The index calls a function of the tenant's while it is restored: it looks who runs it, and a
 * session of the administrator would be one in which RESET ROLE gives the administrator's rights.
 */
#define GUARDED                                                                                    \
    "CREATE FUNCTION guard(a int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN"              \
    " IF session_user <> '" NAME "' THEN RAISE EXCEPTION 'run by %', session_user; END IF;"        \
    " RETURN a; END $$; "                                                                          \
    "CREATE TABLE kept (a int, word text); CREATE INDEX ON kept (public.guard(a)); "               \
    "CREATE SEQUENCE numbers; SELECT nextval('numbers'), nextval('numbers'); "                     \
    "INSERT INTO kept VALUES (1, 'still here')"

static void dump__brings_back_what_was_there(void **state)
{
    struct ctx *ctx = *state;
    struct world world;
    char *archive = arena_alloc(ctx->arena, ARCHIVE_MAX);
    begin(ctx, &world);
    run(&world, GUARDED);
    size_t bytes = dump(&world, archive);
    run(&world, "DROP TABLE kept; CREATE TABLE half (a int)");
    SUCCEEDS(ctx, postgres_set_aside(ctx, world.pg));
    converge(&world);
    SUCCEEDS(ctx, restore(&world, archive, bytes));
    assert_string_equal(value(&world, "SELECT word FROM kept"), "still here");
    assert_string_equal(value(&world, "SELECT nextval('numbers')"), "3");
    assert_string_equal(value(&world, "SELECT string_agg(DISTINCT tableowner, ',') FROM pg_tables"
                                      " WHERE schemaname = 'public'"),
                        NAME);
    SUCCEEDS(ctx, postgres_drop_aside(ctx, world.pg));
    SUCCEEDS(ctx, postgres_drop_aside(ctx, world.pg));
    end(&world);
}

/* Cut off, as when its reader dies: nothing of it is there. */
static void half_an_archive__restores_nothing(void **state)
{
    struct ctx *ctx = *state;
    struct world world;
    char *archive = arena_alloc(ctx->arena, ARCHIVE_MAX);
    begin(ctx, &world);
    run(&world, "CREATE TABLE kept AS SELECT md5(a::text) FROM generate_series(1, 3000) a;"
                "CREATE TABLE other AS SELECT md5(a::text) FROM generate_series(1, 3000) a");
    size_t bytes = dump(&world, archive);
    SUCCEEDS(ctx, postgres_set_aside(ctx, world.pg));
    converge(&world);
    assert_int_equal(restore(&world, archive, bytes * 2 / 3), -ERR_REFUSED);
    err_clear(ctx);
    assert_string_equal(value(&world, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"),
                        "0");
    end(&world);
}

/* Who died in a restore: what has the name is dropped, never what was put aside. */
static void restore_that_was_interrupted__begins_anew(void **state)
{
    struct ctx *ctx = *state;
    struct world world;
    begin(ctx, &world);
    run(&world, "CREATE TABLE failed (a int)");
    SUCCEEDS(ctx, postgres_set_aside(ctx, world.pg));
    SUCCEEDS(ctx, postgres_set_aside(ctx, world.pg)); /* before there was a fresh one */
    converge(&world);
    run(&world, "CREATE TABLE half (a int)");
    SUCCEEDS(ctx, postgres_set_aside(ctx, world.pg));
    converge(&world);
    assert_string_equal(value(&world, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"),
                        "0");
    struct postgres_state found;
    SUCCEEDS(ctx, postgres_remove(ctx, world.pg)); /* the one that was put aside, too */
    SUCCEEDS(ctx, postgres_observe(ctx, world.pg, &found));
    assert_int_equal(postgres_set_aside(ctx, world.pg), -ERR_TAKEN);
    assert_string_equal(ctx->err.reason, "DatabaseLost");
    postgres_end(world.pg);
}

static void strangers_database__is_not_touched(void **state)
{
    struct ctx *ctx = *state;
    struct world world;
    struct pg *super = NULL;
    begin(ctx, &world);
    SUCCEEDS(ctx, pg_open(ctx, servers_value(ctx, &servers, "POOL_PG_SUPER"), &super));
    SUCCEEDS(ctx, pg_script(ctx, super, "CREATE DATABASE " NAME "_failed"));
    assert_int_equal(postgres_set_aside(ctx, world.pg), -ERR_TAKEN);
    assert_int_equal(postgres_drop_aside(ctx, world.pg), -ERR_TAKEN);
    err_clear(ctx);
    SUCCEEDS(ctx, pg_script(ctx, super, "DROP DATABASE " NAME "_failed"));
    pg_close(super);
    end(&world);
}

static void tools__must_be_there_and_as_new_as_the_server(void **state)
{
    struct ctx *ctx = *state;
    SUCCEEDS(ctx, postgres_tools_check(ctx, "", 13));
    assert_int_equal(postgres_tools_check(ctx, "", 99), -ERR_CONFIG);
    assert_int_equal(postgres_tools_check(ctx, "/nowhere", 13), -ERR_CONFIG);
    assert_string_equal(ctx->err.reason, "DumpToolMissing");
}

static int up(void **state)
{
    static const char *const without[] = {"kube",       "kwok",    "pg-fleet",
                                          "redis-pool", "s3-pool", NULL};
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    gates = backend_gates_new(4);
    return servers_up(&servers, without);
}

static int down(void **state)
{
    (void)state;
    backend_gates_free(gates);
    return servers_down(&servers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(schema__is_what_the_last_migration_noted),
        TEST(sessions_that_are_left__are_ended),
        TEST(dump__brings_back_what_was_there),
        TEST(half_an_archive__restores_nothing),
        TEST(restore_that_was_interrupted__begins_anew),
        TEST(strangers_database__is_not_touched),
        TEST(tools__must_be_there_and_as_new_as_the_server),
    };
    return cmocka_run_group_tests(tests, up, down);
}
