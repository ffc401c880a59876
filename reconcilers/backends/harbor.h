/*
 * The API of one registry's Harbor (2.13 to 2.15). Knows neither Kubernetes nor pools: the caller
 * says where Harbor answers and with whose credentials. What costs what: a call by the robot 2 ms
 * of Harbor's processor, one by the administrator 90 ms (it hashes the password 600,000 times), so
 * the administrator is used only for what robots may not do. A wrong password costs 1.5 s and locks
 * that name for as long; so a session does not try the administrator again once he was refused.
 *
 * No write ever carries a cookie: with one Harbor wants a CSRF token. A request without one makes a
 * session key in Redis that lives an hour; so reads carry the session of the read before them, if
 * the caller keeps it (struct harbor_cookie).
 *
 * Errors of all calls: -ERR_UNAVAILABLE, -ERR_TIMEOUT: no answer, or one of a Harbor that is not
 * whole; -ERR_DENIED: HarborUnauthorized (credential refused), HarborForbidden (may not do this);
 * -ERR_NOT_FOUND; -ERR_ALREADY_EXISTS; -ERR_REFUSED: Harbor finds fault with the request;
 * -ERR_PROTOCOL: not Harbor's words; -ERR_TOO_LARGE; -ERR_LEASE_LOST before a change. No message
 * holds a secret, ours or one that Harbor repeats.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct ctx;
struct harbor;
struct s3_proof;

enum { HARBOR_SID_BYTES = 72 };

#define HARBOR_ROBOT_NAME "flotilla-operator"
#define HARBOR_ROBOT_USER "robot$" HARBOR_ROBOT_NAME /* unless Harbor's prefix was changed */

/* A session that reads share: zeroed at first, kept by the caller as long as he likes; of one
 * registry, used by one thread at a time. It carries no right. */
struct harbor_cookie {
    char sid[HARBOR_SID_BYTES];
};

struct harbor_login {
    const char *user, *password; /* password NULL = none is known */
};

/* Strings live as long as the session. */
struct harbor_server {
    const char *base_url;   /* "https://registry.example.com": its host is the Host header */
    const char *connect_to; /* "harbor-core.ns.svc:80": where to go instead; NULL = base_url's */
    const char *ca_pem;     /* NULL = the system's */
    const char *bucket;     /* where its registry stores; garbage collection wants its proof */
    struct harbor_login admin, robot; /* the robot's user NULL: HARBOR_ROBOT_USER */
    struct harbor_cookie *cookie;     /* NULL = none is kept */
};

/* Opens no connection. -ERR_CONFIG: what is no http(s) URL without path, or no host:port. */
int harbor_open(struct ctx *ctx, const struct harbor_server *server, struct harbor **ret);
void harbor_close(struct harbor *harbor);
static inline void cleanup_harbor_(struct harbor **harbor)
{
    harbor_close(*harbor);
}
#define _cleanup_harbor_ __attribute__((cleanup(cleanup_harbor_)))

/* How many changes were sent; 0 = everything was as wanted. */
int harbor_changes(const struct harbor *harbor);

/* Who asks. */
enum harbor_as { HARBOR_NOBODY, HARBOR_ROBOT, HARBOR_ADMIN };

/* What Harbor said last in this session to the login of the server's robot or administrator. A
 * refusal need not mean that the password is wrong: Harbor refuses every login of a name for a
 * while after anybody's wrong one. */
enum harbor_word { HARBOR_UNTRIED, HARBOR_TAKEN, HARBOR_REFUSED };
enum harbor_word harbor_told(const struct harbor *harbor, enum harbor_as as);

/* ---- does it serve ---- */

struct harbor_serving {
    bool healthy;          /* each component says so */
    bool token;            /* core can sign what docker clients log in with */
    int components;        /* how many there are */
    const char *unhealthy; /* "jobservice, redis"; "" = none. What they complain of stays out */
    const char *refusal;   /* why there was no token; NULL = there was */
    const char *version;   /* "v2.15.2-1234abcd"; NULL = no robot's credential, or refused */
};

/*
 * Health of all components, and a token for nobody: with a token key that is not PKCS#1 core is
 * healthy and refuses every login. Harbor asks its components every 10 s, so a verdict is as old.
 * 0 whenever Harbor answered, whatever it said.
 */
int harbor_serving(struct ctx *ctx, struct harbor *harbor, struct harbor_serving *ret);

/* ---- the operator's own account ---- */

/* What Harbor wants of every password and secret: 8 to 128 bytes, among them a capital, a small
 * letter and a digit. */
bool harbor_password_fits(const char *password);

/*
 * Makes sure that the robot can log in with its password and may do what this module needs, and no
 * more. Only if it cannot, or if `look` asks for it, the administrator looks, makes or mends it.
 * Ask with `look` where there was none yet: a name that Harbor does not know costs 1.5 s. `mark`,
 * of [A-Za-z0-9:._-], is its description, by which it is known again: customers may change Harbor's
 * prefix of robots' names. Later calls of this session use *ret_user, which lives as long.
 * -ERR_TAKEN (RobotTaken): a robot of our name has another description; it is left alone.
 * -ERR_INVALID: mark or password do not fit.
 */
int harbor_account(struct ctx *ctx, struct harbor *harbor, const char *mark, bool look,
                   const char **ret_user);

/*
 * Makes `wanted` the password of the administrator (user 1), from `old`, and logs in with it. Fine
 * also if it has been so before: a call that died half-way is repeated. -ERR_DENIED
 * (AdminPasswordUnknown): neither is right, the customer has changed it. -ERR_INVALID.
 */
int harbor_admin_password(struct ctx *ctx, struct harbor *harbor, const char *old,
                          const char *wanted);

/* ---- storage (docs/adr/0009-quota-of-a-registry.md) ---- */

enum { HARBOR_UNLIMITED = -1, HARBOR_QUOTA_WRITES_MAX = 50 };

struct harbor_usage {
    int64_t used_bytes; /* sum over projects: what two of them share counts twice, as in a quota */
    int projects;
};

struct harbor_quota {
    struct harbor_usage usage;
    int64_t free_bytes; /* that any project may still grow by; HARBOR_UNLIMITED */
    int left;           /* limits that are still to be changed: call again */
    int lifted;         /* of these the ones that somebody else set, too high; by reading only */
};

/* What harbor_quota_set() would find and do; by the robot, and nothing is changed. */
int harbor_quota_read(struct ctx *ctx, struct harbor *harbor, int64_t limit,
                      struct harbor_quota *ret);

/*
 * Brings the limits of all projects, and of those to come, to what keeps their sum under `limit`
 * bytes (HARBOR_UNLIMITED: takes ours away). Only what adds data is refused, by Harbor itself.
 * Lower limits that the customer set are kept. At most HARBOR_QUOTA_WRITES_MAX changes a call, by
 * the administrator, the tightening ones first; none when nothing changed much. What holds for
 * projects to come is looked at when something else is changed, or if `look` asks for it: that
 * costs the administrator. Call again soon when free_bytes is small: between two calls several
 * projects together can take more than there is.
 *
 * No further change is begun when half of the time until ctx->deadline_ms has gone. The first one
 * tried is that of the quota after *cursor (0 = the first), in the order of their ids and round;
 * the last one tried is left there, also on failure: so no project waits for ever behind others.
 */
int harbor_quota_set(struct ctx *ctx, struct harbor *harbor, int64_t limit, bool look,
                     int64_t *cursor, struct harbor_quota *ret);

/* ---- garbage collection ---- */

struct harbor_gc_schedule {
    const char *cron; /* six fields, the first (seconds) 0, UTC; NULL = none */
    bool delete_untagged;
};

struct harbor_gc_run {
    int64_t id;         /* 0 = there was none yet */
    const char *status; /* Harbor's word: Pending, Running, Success, Error, Stopped */
    bool running, failed;
    bool dry;                              /* it only counts what another one would remove */
    bool busy;                             /* this one, or a dry one that came later, is on */
    int64_t freed_bytes, blobs, manifests; /* as Harbor counted; 0 until it ended */
    const char *updated;                   /* RFC 3339; NULL = not told */
};

/* By the robot, all of them. */
int harbor_gc_schedule_get(struct ctx *ctx, struct harbor *harbor, struct harbor_gc_schedule *ret);
/* The last one that collects: dry ones are passed over, up to a hundred. */
int harbor_gc_last(struct ctx *ctx, struct harbor *harbor, struct harbor_gc_run *ret);
/* Asks a run to end. Harbor agrees at once; the run itself looks for that between two objects, and
 * one that has ended stays as it is: read harbor_gc_last() again. */
int harbor_gc_stop(struct ctx *ctx, struct harbor *harbor, int64_t id);

/*
 * Where listing the bucket is denied, Harbor's garbage collection reports success, drops its
 * records and leaves the objects. So both want a proof of s3_prove_bucket() that the bucket lets
 * its key write, list and delete: of the server's bucket and not older than HARBOR_GC_PROOF_MS;
 * else -ERR_REFUSED (BucketUnproved), and nothing is sent. A schedule runs without us and proves
 * nothing later: prefer to run it from here, at times of our own. Taking a schedule away needs no
 * proof (NULL).
 */
enum { HARBOR_GC_PROOF_MS = 60000 };
int harbor_gc_schedule_set(struct ctx *ctx, struct harbor *harbor,
                           const struct harbor_gc_schedule *want, const struct s3_proof *proof);
/* A run that is on already is not started again: *ret_id is its number. */
int harbor_gc_start(struct ctx *ctx, struct harbor *harbor, bool delete_untagged,
                    const struct s3_proof *proof, int64_t *ret_id);
