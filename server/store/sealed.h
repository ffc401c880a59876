/*
 * Sealed secrets (sql/migrations/0004_sealed_secrets.sql) as the role flotilla_fleet sees them.
 * What stands in a row opens only with the key ring; see server/adapters/envelope.h. serve makes a
 * row with its owner (store_registry_insert).
 */
#pragma once

#include "server/adapters/envelope.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct ctx;
struct pg_pool;

#define SEALED_OF_REGISTRY "registry/%s"       /* a label's owner */
#define SEALED_ADMIN_PASSWORD "admin-password" /* a label's purpose */

/* A row that was not shredded; strings in ctx->arena. */
struct store_sealed {
    struct envelope_label label;
    struct envelope envelope; /* of a batch: without the text */
};
