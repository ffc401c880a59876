/* RegistryIdentity: the lock of an identity. What identity.c lends to the other files here. */
#pragma once

#include "reconcilers/registry/scope.h"

bool identity_is_held_by(const json_t *identity, const char *uid);
/* {namespace, name, uid} of this Registry; a new reference. */
json_t *identity_owner(const struct registry_scope *scope);
/* Held to Retained, until purge_after or RETAIN_DAYS from now. */
int identity_retain(struct ctx *ctx, struct pass *pass, const json_t *identity,
                    const char *purge_after, json_t **ret);
/*
 * Reads the Registry live: -ERR_CONFLICT when it is another, or of another generation, than this
 * pass decided on. Asked under the backend's lock, so that a pass that hung before the lock undoes
 * nothing that a later one did.
 */
int registry_still_wanted(struct ctx *ctx, struct pass *pass);
