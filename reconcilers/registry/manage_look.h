/* One look into a registry's Harbor, shared by manage.c and the files of its steps. */
#pragma once

#include "reconcilers/registry/scope.h"

struct look {
    struct ctx *ctx;
    struct pass *pass;
    struct registry_scope *scope;
    const struct registry_operator *home;
    struct probe_memory memory;
    struct harbor *harbor;
    const char *password; /* of the administrator; NULL = not to be tried in this look */
    bool news;            /* another one than at the last look */
    bool guards;          /* the bucket fails: see only that nothing is collected */
    bool unfinished;      /* something is to be gone on with soon */
    const char *failed;   /* the first step that did, and why; NULL = none */
};

/* Does the status tell this reason of that condition already? */
bool look_tells(const struct look *look, const char *type, const char *reason);

/* The step `collection`. */
int look_collection(struct look *look);
