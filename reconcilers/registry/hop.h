/*
 * To another version of Harbor, and back where that fails: docs/adr/0012-version-hops.md. Which
 * version a registry's data is of, and how far a hop is, stands in an annotation of the kept
 * Secret: it outlives status, Registry and operator. A step is one write of that annotation, fenced
 * by the version of the Secret that this pass acted upon; each can be repeated from its beginning.
 */
#pragma once

#include "reconcilers/backends/dump.h"

struct ctx;
struct pass;
struct registry_operator;
struct registry_scope;
struct registry_spec;

#define ANNOTATION_HOP "hop.flotilla.dev/state"
/* On the Registry; any other value than the last has a hop tried again that was rolled back. */
#define ANNOTATION_RETRY_HOP "registry.flotilla.dev/retry-hop"

enum hop_step {
    HOP_SETTLED,
    HOP_STOPPING,
    HOP_DUMPING,
    HOP_MIGRATING,
    HOP_ABANDONING,
    HOP_STARTING,
    HOP_RESTORING,
    HOP_RETURNING,
    HOP_ROLLED_BACK,
    HOP_STEPS
};

/* What a step means for the stack, and in words. */
struct hop_row {
    const char *name;  /* reason of the condition Migration */
    bool stopped;      /* core, jobservice and exporter are to be at zero */
    bool placed;       /* it needs a place (hop_places.h), and keeps it until it is over */
    bool of_new;       /* the stack's objects are those of the version that is wanted */
    const char *event; /* when it begins; NULL = none */
    const char *note;
};
extern const struct hop_row hop_rows[HOP_STEPS];

/* As it is kept. */
struct hop_state {
    enum hop_step step;
    const char *runs;       /* the version that the data is of; NULL = nobody noted it */
    const char *from, *to;  /* of the last hop that began; NULL = none ever did */
    const char *why;        /* what failed; NULL = nothing */
    const char *retry;      /* ANNOTATION_RETRY_HOP when it began, "" = none */
    int64_t tables, schema; /* before it began */
    struct dump dump;       /* without a prefix there is none */
};

/* What a pass knows of it. */
struct registry_hop {
    struct hop_state state;
    const char *wanted;            /* the version of the spec, with its patch */
    const char *version;           /* the stack is to be of; NULL = as the spec says */
    bool stopped;                  /* core, jobservice and exporter are to be at zero */
    bool pulls;                    /* the images of what is wanted are to be pulled */
    const char *stalled, *message; /* a person must act: reason, and what for; NULL = not so */
    const char *held;              /* why the next step was not taken; NULL = it was, or is none */
    bool in_line;                  /* for a place */
    const char *waits;             /* of one that has not begun: the reason of Migration */
};

enum { HOP_WORD_BYTES = 200 };

/* The value of ANNOTATION_RETRY_HOP, as far as it is kept; NULL = there is none. */
const char *hop_retry(struct ctx *ctx, const json_t *registry);

/* "2.15" with the patch that we have of it. */
const char *hop_full_version(const struct registry_operator *home, const char *version);
/* -ERR_REFUSED (SecretDamaged) where somebody wrote what we would not. */
int hop_state_of(struct ctx *ctx, const json_t *kept, struct hop_state *ret);
/* The annotation's text; what others chose in it is cut to HOP_WORD_BYTES. */
char *hop_note(struct ctx *ctx, const struct hop_state *state);
/* That of a Secret which is made now, for a registry that has no data. */
char *hop_fresh(struct ctx *ctx, const struct registry_operator *home,
                const struct registry_spec *spec);
/* The version of which the stack's objects are to be. */
const char *hop_version(const struct registry_scope *scope);
/* Under way, one way or the other. */
bool hop_moves(const struct registry_scope *scope);
/* Under way, or wanted and not begun. */
bool hop_is_open(const struct registry_scope *scope);
/* Whether a part of the stack speaks with the database, and is stopped therefore. */
bool hop_stops(const char *component);
/* Why a hop may not begin at a database in this state, with a reason; NULL = it may. Pure. */
const char *hop_refusal(struct ctx *ctx, const struct registry_operator *home,
                        const struct hop_state *state, const struct postgres_schema *schema,
                        const char **ret_reason);
/* What is wrong with the schema that a migration to state->to left; NULL = nothing. Pure. */
const char *hop_failure(struct ctx *ctx, const struct registry_operator *home,
                        const struct hop_state *state, const struct postgres_schema *schema);
/* version, dump and the condition Migration. */
void hop_status(struct ctx *ctx, const struct registry_scope *scope, json_t *status);

/* ---- phases and steps; hop.c ---- */

int registry_hop(struct ctx *ctx, struct pass *pass);
int registry_hop_end(struct ctx *ctx, struct pass *pass);

/* Keeps the step, and tells it. */
int hop_go_to(struct ctx *ctx, struct pass *pass, const struct hop_state *next);
/* `runs` is what is wanted, or is held to be: there is no data yet. */
int hop_settle(struct ctx *ctx, struct pass *pass, const char *runs);
/* 0: a person must act, and what runs runs on. */
int hop_stall(struct pass *pass, const char *reason, const char *message);

/* ---- before it begins; hop_begin.c ---- */

/* Of HOP_SETTLED and HOP_ROLLED_BACK. */
int hop_begin(struct ctx *ctx, struct pass *pass);
/* A hop that failed is not tried again until somebody wants another one, or wants it once more. */
bool hop_was_rolled_back(struct ctx *ctx, const struct pass *pass);
/* Of one that was: what failed, and what may be done. */
int hop_tell_why(struct ctx *ctx, struct pass *pass);

/* ---- its Jobs; hop_job.c ---- */

#define HOP_MIGRATION "migration" /* components */
#define HOP_IMAGES "images"

/* Of a version, whatever our name for it; NULL = there is none. */
const json_t *hop_job(struct ctx *ctx, struct pass *pass, const char *component,
                      const char *version);
/* Each image of a Job came to a node, by what its pods among `pods` tell. Pure. */
bool hop_images_came(const json_t *job, const json_t *pods);
/* An image for which one of its pods waits that was made before that time; NULL = none. Pure. */
const char *hop_image_missing(const json_t *job, const json_t *pods, int64_t made_before_ms);
/* The same, where it waits for longer than it may. */
const char *hop_image_late(const struct pass *pass, const json_t *job);
/* The failed migration outlives the way back, until hop_drop_kept_jobs(). */
int hop_keep_job(struct ctx *ctx, struct pass *pass, const char *version);
int hop_drop_kept_jobs(struct ctx *ctx, struct pass *pass);
/* *ret_left: which pod has not ended; NULL = none can begin any more. */
int hop_end_job(struct ctx *ctx, struct pass *pass, const char *version, const char **ret_left);

/* ---- what is outside, under the identity's lock; hop_work.c ---- */

int hop_look(struct ctx *ctx, struct pass *pass, struct postgres_schema *ret);
/* -ERR_WAITING (WaitingForPlace) while a dump could not begin. What serves serves on so long; what
 * is `stopped` already (its process was another one, or it restores) waits stopped. */
int hop_take_place(struct ctx *ctx, struct pass *pass, bool stopped);
/* And wakes who waits for it. */
void hop_leave_place(struct pass *pass);
/* Lets others go first, if it comes no further and has had its place for so long. */
void hop_yield_place(struct pass *pass, int64_t patience_ms);
/* Ends the sessions that are left, drops what an earlier hop put aside, and dumps. */
int hop_dump(struct ctx *ctx, struct pass *pass, struct dump *ret);
/* Puts the database aside and brings the dump into a fresh one, which is checked. */
int hop_restore(struct ctx *ctx, struct pass *pass);
int hop_forget_failed(struct ctx *ctx, struct pass *pass);
