/*
 * Work queue of keys: an item is never in it twice and never processed by two workers at once; an
 * add during processing marks it dirty and it comes again. Failures back off per item,
 * 5 ms * 2^n up to the cap. Thread-safe.
 *
 * What is begun is finished first: else a hundred roots that come at once would take each step
 * together and be done together, and late. So what is begun is taken before
 * what workqueue_add() brings, and that (somebody waits for it) before what a time brings
 * (verification, back-off). Of four takes one is for each of the latter two all the same, so that
 * none starves.
 *
 * A key that becomes ready forgets the time it waited for: whoever works on it looks at everything
 * and sets the next time anew.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct workqueue;

enum { WORKQUEUE_KEY_BYTES = 400 };

/* Name for the metrics (workqueue_depth{name=...}), a literal or longer-lived than the queue. */
struct workqueue *workqueue_new(const char *name, int64_t backoff_cap_ms);
void workqueue_free(struct workqueue *queue);
/* Wakes all waiting workers, which then get false. */
void workqueue_close(struct workqueue *queue);

/* An event of the root itself, or somebody asks for a look at it. */
void workqueue_add(struct workqueue *queue, const char *key);
/* Keeps the soonest time if it waits already. */
void workqueue_add_after(struct workqueue *queue, const char *key, int64_t delay_ms);
/*
 * An event, but not before `every_ms` after the key was taken last: at once, then so long not; 0 =
 * always at once. Who is worked on for longer comes again when he is done. begun: of something that
 * was made for the root, which is at work already. A key without any time and failure is forgotten
 * when it is done, and is new then.
 */
void workqueue_add_paced(struct workqueue *queue, const char *key, int64_t every_ms, bool begun);
/* After a failure; returns the delay that was chosen, at least `at_least_ms`. */
int64_t workqueue_add_backoff(struct workqueue *queue, const char *key, int64_t at_least_ms);
/* After a success: forgets the failures. */
void workqueue_forget(struct workqueue *queue, const char *key);

/* Failures in a row. */
unsigned workqueue_failures(struct workqueue *queue, const char *key);

/* Blocks; false when closed. The worker must call workqueue_done(). */
bool workqueue_take(struct workqueue *queue, char key[WORKQUEUE_KEY_BYTES]);
void workqueue_done(struct workqueue *queue, const char *key);
/* Keys that are ready; those that wait for a time do not count. */
size_t workqueue_depth(struct workqueue *queue);
