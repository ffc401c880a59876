/*
 * Keeps a store equal to a collection of the API server: the state machine of list and watch, apart
 * from the network, which it reaches through `connect` and hears from through reflector_data() and
 * reflector_end(). All calls come from one thread. Internal to this room.
 *
 *   SYNC_STREAM --marker bookmark--> LIVE <--last page, watch-- SYNC_LIST
 *        |  not supported                                           ^
 *        +----------------------------------------------------------+
 *   LIVE --410, history set back, undecodable twice, skipped something--> SYNC_STREAM
 *   LIVE --the server was away--> PROBE --its version is not lower--> LIVE
 *
 * Why PROBE: kube-apiserver answers a watch from a version of the future, as after a restore of
 * etcd, with silence (tried: 1.36), and not even bookmarks come.
 *
 * What is larger than FRAME_MAX_BYTES is skipped, which leaves the question what the store holds of
 * it. Its name is somewhere in what was not kept; so each copy in the store may be the outdated
 * one, and all are listed anew, soon but not more often than resync_ms allows. The list skips it as
 * well: for us it does not exist, and whoever plans to make it meets AlreadyExists. As it may have
 * shrunk unheard, no watch goes on from a store that lacks something: when one ends in order, the
 * next begins with a list.
 */
#pragma once

#include "reconcilers/kube/frames.h"
#include "reconcilers/kube/kube.h"
#include "server/base/ctx.h"

#include <stdint.h>

struct store;

enum {
    REFLECTOR_VERSION_BYTES = 48,
    REFLECTOR_PAGE_MAX_BYTES = 64 << 20,
    REFLECTOR_PAGE_LIMIT = 500, /* objects; halved while a page is larger than that */
    REFLECTOR_NOTHING_LOGGED = -1,
};

enum reflector_state { SYNC_STREAM, SYNC_LIST, LIVE, PROBE };

/* Why a connection ended, as far as the next step depends on it. */
enum reflector_verdict {
    ENDED_CLEAN,       /* the server's time was up */
    ENDED_PAGE,        /* a page of a list is whole */
    ENDED_PAGE_LARGE,  /* it is not, and too large: the same with fewer objects */
    ENDED_FAILED,      /* away, refused, cut off */
    ENDED_SKIPPED,     /* something was too large, and the store may hold an older copy */
    ENDED_EXPIRED,     /* 410: the history after our version is gone; or not there yet */
    ENDED_ROLLBACK,    /* the server is behind our version: its storage was restored */
    ENDED_UNREADABLE,  /* not JSON, or too large */
    ENDED_UNSUPPORTED, /* sendInitialEvents */
};

struct reflector_timing {
    int backoff_ms, backoff_max_ms; /* 800, 30000 */
    int healthy_ms;                 /* a connection that lived so long forgives failures; 10000 */
    int watch_min_s, watch_max_s;   /* timeoutSeconds; 300, 600 */
    int resync_ms;                  /* between full lists because of skipped objects; 60000 */
};
extern const struct reflector_timing reflector_default_timing;

struct reflector_options {
    enum kube_kind kind;
    const char *namespace, *label_selector; /* live as long as the reflector */
    struct store *store;
    const struct reflector_timing *timing;
    bool optional;             /* that the server does not know the kind is no news */
    kube_cache_event on_event; /* may be NULL */
    void *on_event_arg;
    /* Ask for this path after a delay; the answer comes by reflector_data() and _end(). */
    void (*connect)(void *arg, const char *path, int delay_ms);
    void *connect_arg;
    void (*on_synced)(void *arg); /* each time the store became whole; gets connect_arg */
};

struct reflector {
    struct reflector_options options;
    struct arena *arena; /* reset after each event, page and decision */
    struct ctx ctx;
    enum reflector_state state;
    char version[REFLECTOR_VERSION_BYTES]; /* of the last event or list; "" = none yet */
    const char *cause;                     /* why a full list was needed, for the metric */
    /* this connection */
    struct frames frames;
    struct str page;
    enum reflector_verdict verdict;
    int64_t started_ms;
    int events;
    /* over connections */
    struct str next_page;            /* continue token */
    int page_limit;                  /* objects asked for */
    int failures, quick, unreadable; /* in a row: tries, ends without delay, bad events */
    bool set_back;     /* the server went back behind our version, and no full list followed yet */
    bool partial;      /* the store lacks something that the server has */
    bool outdated;     /* and may hold an older copy of it */
    bool skip_logged;  /* on this connection */
    int64_t synced_ms; /* when the last full list was whole */
    int logged_status; /* HTTP status of the last failure that was logged; 0 = no answer */
};

void reflector_init(struct reflector *reflector, const struct reflector_options *options);
void reflector_done(struct reflector *reflector);
void reflector_start(struct reflector *reflector);

/* As http_stream_events; arg is the reflector. */
bool reflector_data(void *arg, const char *bytes, size_t count);
void reflector_end(void *arg, int status, const char *body, const char *what);

/* ---- between the two halves ---- */

/* What a Status of that code means in the present state. */
enum reflector_verdict reflector_judge(const struct reflector *reflector, int64_t code);
/* Takes a whole page of a list, or the answer of a probe. */
enum reflector_verdict reflector_read_page(struct reflector *reflector);
