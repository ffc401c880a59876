/*
 * A registry's database, carried into its bucket and back: an archive of pg_dump in numbered
 * objects <prefix>00000, <prefix>00001, ... of a size that memory can hold, each signed with its
 * own hash, and a SHA-256 over all of them. A run has a prefix of its own, so that whoever is late
 * never writes into what another run made.
 */
#pragma once

#include "reconcilers/backends/postgres.h"
#include "reconcilers/backends/s3.h"
#include "server/adapters/crypto.h"

/* Where all dumps of a bucket are; no registry's path. */
#define DUMP_FOLDER ".flotilla/dump/"

/* What must be known to read it back. */
struct dump {
    const char *prefix; /* below DUMP_FOLDER, that one included */
    int parts;
    int64_t bytes;
    char sha256[SHA256_HEX_BYTES];
};

/* What one transfer works with. The gate is asked all the time: a lock that was lost ends it. The
 * caller bounds how many there are at a time: their places in the pools are lent (gate.h). */
struct dump_work {
    struct postgres *pg;
    struct s3 *s3;
    struct postgres_login login;
    const char *tools; /* folder of PostgreSQL's programs, "" = PATH */
};

/* Removes what hops before left, then writes under ret->prefix, which the caller gives. */
int dump_write(struct ctx *ctx, const struct dump_work *work, struct dump *ret);
/* Into a database without tables, whole or not at all; -ERR_REFUSED (DumpDamaged) when it is not
 * what was written. */
int dump_read(struct ctx *ctx, const struct dump_work *work, const struct dump *dump);
