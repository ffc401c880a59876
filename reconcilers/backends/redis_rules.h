/* ACL rules of a registry's user: what we ask for, and how what a server tells is read. Pure. */
#pragma once

#include "reconcilers/backends/redis.h"
#include "server/adapters/redis_link.h"

/*
 * ACL SETUSER that makes `user` whole, whatever it was. want NULL: off, without passwords, all else
 * as wanted.
 */
struct redis_command redis_rules_set(struct ctx *ctx, const char *user, const char *mark, int index,
                                     const struct redis_want *want);

/*
 * ACL SETUSER that only marks: as ours, and as one whose last change was not saved. The second mark
 * makes the user differ from what is wanted.
 */
struct redis_command redis_rules_unsaved(struct ctx *ctx, const char *user, const char *mark);
bool redis_rules_is_unsaved(const struct redis_reply *user);

/* A field of what ACL GETUSER told ("flags", "passwords", "commands", ...); NULL: not there. */
const struct redis_reply *redis_rules_field(const struct redis_reply *user, const char *name);
/* An array that holds the word, or a text of words parted by blanks that does. */
bool redis_rules_has(const struct redis_reply *words, const char *word);
/* Two users may do the same; whether they are on, and their passwords, aside. */
bool redis_rules_same(const struct redis_reply *user, const struct redis_reply *other);
/* The passwords of state are those of want, in any order. */
bool redis_rules_passwords(const struct redis_state *state, const struct redis_want *want);

/*
 * A line of ACL LIST, "user NAME on #hash ~* &channel -@all +get". The first word that begins with
 * `prefix` (inside a selector's brackets, too), without it; NULL: none. `exact`: nothing may
 * follow.
 */
const char *redis_rules_word(struct ctx *ctx, const char *line, const char *prefix, bool exact);
