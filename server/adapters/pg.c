/*
 * Blocking calls over libpq's asynchronous interface: each one polls its socket and gives up at the
 * deadline, so that a server that stopped answering holds a worker no longer than the request may
 * last. A session whose call timed out is broken: its statement is cancelled and its outcome
 * unknown. The pool is in pg_pool.c.
 */
#include "server/adapters/pg.h"

#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/str.h"

#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WARNING_BYTES = 256 };

struct pg {
    PGconn *conn;
    bool broken;
    int warnings;
    char sqlstate[PG_SQLSTATE_BYTES];
    char last_warning[WARNING_BYTES];
};

/* SQLSTATE, or the first characters of it, to error; the first row that fits counts. */
static const struct {
    const char *prefix;
    enum err_code code;
} sqlstates[] = {
    {"08", ERR_UNAVAILABLE},    /* connection exception */
    {"57P0", ERR_UNAVAILABLE},  /* shut down, crashed, starting up, database dropped */
    {"53300", ERR_UNAVAILABLE}, /* too many connections */
    {"25006", ERR_UNAVAILABLE}, /* read-only: a standby, the failover is not over */
    {"40", ERR_CONFLICT},       /* serialization failure, deadlock */
    {"55P03", ERR_CONFLICT},    /* lock_timeout */
    {"23505", ERR_ALREADY_EXISTS},
    {"42710", ERR_ALREADY_EXISTS},
    {"42P04", ERR_ALREADY_EXISTS},
    {"42501", ERR_DENIED},
    {"28", ERR_DENIED},
    {"57014", ERR_TIMEOUT}, /* cancelled, statement_timeout */
    {"", ERR_REFUSED},
};

/*
 * libpq hides the SQLSTATE of a refused connect. Texts of a server that answered, but only for now.
 * (Our servers run with lc_messages = C; in another language a refusal is DENIED, which retries
 * too.)
 */
static const char *const passing_refusals[] = {
    "starting up",       "shutting down", "recovery mode", "too many", "remaining connection slots",
    "not yet accepting",
};

/* ---- waiting ---- */

static int64_t deadline_of(const struct ctx *ctx)
{
    return ctx->deadline_ms ? ctx->deadline_ms : clock_boottime_ms() + PG_DEFAULT_TIMEOUT_MS;
}

/* True once one of `events` (or an error, which the next libpq call reports) is there. */
static bool wait_socket(const struct pg *pg, short events, int64_t deadline_ms)
{
    for (;;) {
        int64_t left = deadline_ms - clock_boottime_ms();
        if (left <= 0)
            return false;
        struct pollfd fd = {.fd = PQsocket(pg->conn), .events = events};
        int slice =
            left > 1000 ? 1000 : (int)left; /* poll's clock stops in suspend, ours does not */
        if (poll(&fd, 1, slice) > 0)
            return true;
    }
}

static void *send_cancel(void *cancel)
{
    char error[128];
    (void)PQcancel(cancel, error, sizeof error); /* nothing to be done when it fails */
    PQfreeCancel(cancel);
    return NULL;
}

/* PQcancel() blocks in connect() for as long as TCP likes: it gets a thread of its own. */
static void cancel_statement(struct pg *pg)
{
    PGcancel *cancel = PQgetCancel(pg->conn);
    pthread_t thread;
    if (!cancel)
        return;
    if (pthread_create(&thread, NULL, send_cancel, cancel) == 0)
        pthread_detach(thread);
    else
        PQfreeCancel(cancel);
}

/* ---- errors ---- */

/* First line of libpq's message, without its "connection to server ... failed: " noise kept apart.
 */
static const char *one_line(struct ctx *ctx, const char *text)
{
    return arena_strndup(ctx->arena, text, strcspn(text, "\n"));
}

static int session_lost(struct ctx *ctx, struct pg *pg)
{
    pg->broken = true;
    snprintf(pg->sqlstate, sizeof pg->sqlstate, "08006");
    return err_set(ctx, ERR_UNAVAILABLE, "DatabaseUnavailable", "session lost: %s",
                   one_line(ctx, PQerrorMessage(pg->conn)));
}

static int session_timed_out(struct ctx *ctx, struct pg *pg)
{
    cancel_statement(pg);
    pg->broken = true;
    return err_set(ctx, ERR_TIMEOUT, "DatabaseTimeout", "no answer from the database in time");
}

static int result_error(struct ctx *ctx, struct pg *pg, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (!state)
        return session_lost(ctx, pg);
    snprintf(pg->sqlstate, sizeof pg->sqlstate, "%s", state);
    pg->broken = pg->broken || PQstatus(pg->conn) != CONNECTION_OK;
    size_t row = 0;
    while (!str_starts(state, sqlstates[row].prefix))
        row++;
    return err_set(ctx, sqlstates[row].code, NULL, "%s (SQLSTATE %s)", message ? message : "?",
                   state);
}

static void count_warning(void *arg, const PGresult *result)
{
    struct pg *pg = arg;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (!str_equal(severity, "WARNING"))
        return;
    pg->warnings++;
    snprintf(pg->last_warning, sizeof pg->last_warning, "%s", message ? message : "");
}

/* ---- sessions ---- */

static int connect_refused(struct ctx *ctx, const struct pg *pg)
{
    const char *text = PQerrorMessage(pg->conn);
    bool answered = strstr(text, "FATAL:") || PQconnectionNeedsPassword(pg->conn);
    for (size_t row = 0; answered && row < ARRAY_SIZE(passing_refusals); row++)
        answered = !strstr(text, passing_refusals[row]);
    return err_set(ctx, answered ? ERR_DENIED : ERR_UNAVAILABLE,
                   answered ? "DatabaseLoginDenied" : "DatabaseUnavailable", "%s",
                   one_line(ctx, text));
}

static int connect_wait(struct ctx *ctx, struct pg *pg)
{
    int64_t deadline_ms = deadline_of(ctx);
    PostgresPollingStatusType want = PGRES_POLLING_WRITING;
    while (want != PGRES_POLLING_OK) {
        if (want == PGRES_POLLING_FAILED || PQstatus(pg->conn) == CONNECTION_BAD)
            return connect_refused(ctx, pg);
        if (!wait_socket(pg, want == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_ms))
            return err_set(ctx, ERR_UNAVAILABLE, "DatabaseUnavailable",
                           "the database did not accept a session in time");
        want = PQconnectPoll(pg->conn);
    }
    return 0;
}

/* A message about a malformed connection string would quote it, password and all: it gets none. */
static int check_conninfo(struct ctx *ctx, const char *conninfo)
{
    char *error = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &error);
    PQfreemem(error);
    if (!options)
        return err_set(ctx, ERR_CONFIG, NULL, "the database's connection string is malformed");
    PQconninfoFree(options);
    return 0;
}

int pg_open(struct ctx *ctx, const char *conninfo, struct pg **ret)
{
    TRY(check_conninfo(ctx, conninfo));
    TRY(ctx_may_write(ctx));
    /* What stands behind dbname overrides what the string says. */
    static const char *const keys[] = {"dbname",
                                       "keepalives",
                                       "keepalives_idle",
                                       "keepalives_interval",
                                       "keepalives_count",
                                       "tcp_user_timeout",
                                       "connect_timeout",
                                       "client_encoding",
                                       "fallback_application_name",
                                       NULL};
    const char *const values[] = {conninfo, "1",  "10",   "5",        "3",
                                  "15000",  "10", "UTF8", "flotilla", NULL};
    struct pg *pg = calloc(1, sizeof *pg);
    if (!pg)
        abort();
    pg->conn = PQconnectStartParams(keys, values, 1);
    if (!pg->conn)
        abort();
    int rc = connect_wait(ctx, pg);
    if (rc < 0) {
        pg_close(pg);
        return rc;
    }
    PQsetnonblocking(pg->conn, 1);
    PQsetNoticeReceiver(pg->conn, count_warning, pg);
    *ret = pg;
    return 0;
}

void pg_close(struct pg *pg)
{
    if (!pg)
        return;
    PQfinish(pg->conn);
    free(pg);
}

/* ---- statements ---- */

static int send_all(struct ctx *ctx, struct pg *pg, int64_t deadline_ms)
{
    int left;
    while ((left = PQflush(pg->conn)) > 0) {
        /* The server may block on its own answers until we read them. */
        if (!wait_socket(pg, POLLIN | POLLOUT, deadline_ms))
            return session_timed_out(ctx, pg);
        if (!PQconsumeInput(pg->conn))
            return session_lost(ctx, pg);
    }
    return left < 0 ? session_lost(ctx, pg) : 0;
}

/* *ret = NULL at the end of the answers. */
static int next_result(struct ctx *ctx, struct pg *pg, int64_t deadline_ms, PGresult **ret)
{
    while (PQisBusy(pg->conn)) {
        if (!wait_socket(pg, POLLIN, deadline_ms))
            return session_timed_out(ctx, pg);
        if (!PQconsumeInput(pg->conn))
            return session_lost(ctx, pg);
    }
    *ret = PQgetResult(pg->conn);
    return 0;
}

static void clear_result(void *result)
{
    PQclear(result);
}

/* Reads all answers; the last one is kept in the arena, the first failure is reported. */
static int collect(struct ctx *ctx, struct pg *pg, PGresult **ret)
{
    int64_t deadline_ms = deadline_of(ctx);
    int rc = send_all(ctx, pg, deadline_ms);
    PGresult *result = NULL;
    while (!pg->broken && next_result(ctx, pg, deadline_ms, &result) == 0 && result) {
        arena_defer(ctx->arena, clear_result, result);
        switch (PQresultStatus(result)) {
        case PGRES_EMPTY_QUERY:
        case PGRES_COMMAND_OK:
        case PGRES_TUPLES_OK:
            *ret = result;
            break;
        case PGRES_FATAL_ERROR:
            rc = rc < 0 ? rc : result_error(ctx, pg, result);
            break;
        default: /* COPY and pipelines, which we never ask for */
            pg->broken = true;
            rc = err_set(ctx, ERR_PROTOCOL, NULL, "unexpected answer: %s",
                         PQresStatus(PQresultStatus(result)));
        }
    }
    return pg->broken && rc == 0 ? -ctx->err.code : rc;
}

static int start(struct ctx *ctx, struct pg *pg)
{
    if (pg->broken)
        return err_set(ctx, ERR_UNAVAILABLE, "DatabaseUnavailable", "the session is broken");
    pg->sqlstate[0] = '\0';
    return ctx_may_write(ctx);
}

int pg_query(struct ctx *ctx, struct pg *pg, const char *sql, int parameters,
             const char *const values[], struct pg_rows *ret)
{
    TRY(start(ctx, pg));
    if (!PQsendQueryParams(pg->conn, sql, parameters, NULL, values, NULL, NULL, 0))
        return session_lost(ctx, pg);
    PGresult *result = NULL;
    TRY(collect(ctx, pg, &result));
    if (!ret)
        return 0;
    *ret = (struct pg_rows){.rows = PQntuples(result), .result_ = result};
    return 0;
}

int pg_script(struct ctx *ctx, struct pg *pg, const char *sql)
{
    TRY(start(ctx, pg));
    if (!PQsendQuery(pg->conn, sql))
        return session_lost(ctx, pg);
    PGresult *result = NULL;
    return collect(ctx, pg, &result);
}

const char *pg_sqlstate(const struct pg *pg)
{
    return pg->sqlstate;
}

int pg_warnings(const struct pg *pg)
{
    return pg->warnings;
}

const char *pg_last_warning(const struct pg *pg)
{
    return pg->last_warning;
}

void pg_warnings_clear(struct pg *pg)
{
    pg->warnings = 0;
    pg->last_warning[0] = '\0';
}

bool pg_alive(const struct pg *pg)
{
    return !pg->broken && PQstatus(pg->conn) == CONNECTION_OK;
}

bool pg_idle(struct pg *pg)
{
    /* A session at rest has nothing to say but that it was ended. */
    struct pollfd fd = {.fd = PQsocket(pg->conn), .events = POLLIN};
    if (poll(&fd, 1, 0) > 0)
        pg->broken = !PQconsumeInput(pg->conn) || PQstatus(pg->conn) != CONNECTION_OK;
    return pg_alive(pg) && PQtransactionStatus(pg->conn) == PQTRANS_IDLE;
}

/* ---- values ---- */

const char *pg_value(const struct pg_rows *rows, int row, int column)
{
    return PQgetisnull(rows->result_, row, column) ? NULL : PQgetvalue(rows->result_, row, column);
}

const char *pg_field(const struct pg_rows *rows, int row, const char *column)
{
    int index = PQfnumber(rows->result_, column);
    if (index < 0) {
        log_error(NULL, "a statement has no column '%s'", column);
        abort();
    }
    return pg_value(rows, row, index);
}

static char *keep(struct ctx *ctx, struct pg *pg, char *escaped)
{
    if (!escaped) { /* not UTF-8: names are checked long before they come here */
        log_error(ctx, "cannot quote for SQL: %s", PQerrorMessage(pg->conn));
        abort();
    }
    char *copy = arena_strdup(ctx->arena, escaped);
    PQfreemem(escaped);
    return copy;
}

char *pg_identifier(struct ctx *ctx, struct pg *pg, const char *name)
{
    return keep(ctx, pg, PQescapeIdentifier(pg->conn, name, strlen(name)));
}

char *pg_literal(struct ctx *ctx, struct pg *pg, const char *text)
{
    return keep(ctx, pg, PQescapeLiteral(pg->conn, text, strlen(text)));
}
