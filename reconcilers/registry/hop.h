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
    const char *stalled, *message; /* a person must act: reason, and what for; NULL = not so */
    const char *held;              /* why the next step was not taken; NULL = it was, or is none */
};

/* "2.15" with the patch that we have of it. */
const char *hop_full_version(const struct registry_operator *home, const char *version);
/* -ERR_REFUSED (SecretDamaged) where somebody wrote what we would not. */
int hop_state_of(struct ctx *ctx, const json_t *kept, struct hop_state *ret);
/* The annotation's text. */
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

/* ---- what is outside, under the identity's lock; hop_work.c ---- */

int hop_look(struct ctx *ctx, struct pass *pass, struct postgres_schema *ret);
/* -ERR_WAITING while a dump could not begin: what serves should serve on so long. */
int hop_has_place(struct ctx *ctx, struct pass *pass);
/* Ends the sessions that are left, drops what an earlier hop put aside, and dumps. */
int hop_dump(struct ctx *ctx, struct pass *pass, struct dump *ret);
/* Puts the database aside and brings the dump into a fresh one, which is checked. */
int hop_restore(struct ctx *ctx, struct pass *pass);
int hop_forget_failed(struct ctx *ctx, struct pass *pass);
