/* A hop as it is kept and as it is told; what the schema of a database means for it. Pure. */
#include "reconcilers/registry/parts.h"

#include "reconcilers/engine/conditions.h"
#include "server/base/cleanup.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <stdio.h>
#include <string.h>

enum { STATE_MAX_BYTES = 8 << 10 };

const struct hop_row hop_rows[HOP_STEPS] = {
    [HOP_SETTLED] = {"Settled", false, false, false, NULL, ""},
    [HOP_STOPPING] = {"Stopping", true, true, false, "HopBegan",
                      "core, jobservice and exporter are being stopped"},
    [HOP_DUMPING] = {"Dumping", true, true, false, NULL, "the database is being dumped"},
    [HOP_MIGRATING] = {"Migrating", true, false, true, "Dumped",
                       "the dump is in the bucket, and the schema is being migrated"},
    [HOP_ABANDONING] = {"Abandoning", true, false, false, "MigrationAbandoned",
                        "an image of the new version does not come: the hop is taken back"},
    [HOP_STARTING] = {"Starting", false, false, true, "SchemaMigrated",
                      "the schema is migrated, and the new version is being started"},
    [HOP_RESTORING] = {"Restoring", true, true, true, "MigrationFailed",
                       "the migration failed, and the dump is being restored"},
    [HOP_RETURNING] = {"Returning", false, false, false, "Returning",
                       "the data is that of before the hop, and the old version is being started"},
    [HOP_ROLLED_BACK] = {"RolledBack", false, false, false, "RolledBack",
                         "the old version runs with the data from before the hop"},
};

/* ---- what is kept ---- */

const char *hop_full_version(const struct registry_operator *home, const char *version)
{
    const json_t *patches = json_object_get(home->versions, "patches");
    const char *patch = json_string_value(json_object_get(patches, version));
    return patch ? patch : version;
}

static enum hop_step step_named(const char *name)
{
    enum hop_step step = HOP_SETTLED;
    while (step < HOP_STEPS && !str_equal(hop_rows[step].name, name))
        step++;
    return step;
}

int hop_state_of(struct ctx *ctx, const json_t *kept, struct hop_state *ret)
{
    const char *text = kube_annotation(kept, ANNOTATION_HOP);
    json_t *note = NULL;
    *ret = (struct hop_state){.retry = "", .schema = -1};
    if (!text)
        return 0;
    TRY(json_parse(ctx, text, strlen(text), STATE_MAX_BYTES, &note));
    *ret = (struct hop_state){
        .step = step_named(json_str(note, "step")),
        .runs = json_str(note, "runs"),
        .from = json_str(note, "from"),
        .to = json_str(note, "to"),
        .why = json_str(note, "why"),
        .retry = json_str_or(note, "retry", ""),
        .tables = json_int_or(note, "tables", 0),
        .schema = json_int_or(note, "schema", -1),
        .dump = {.prefix = json_str(note, "dump.prefix"),
                 .parts = (int)json_int_or(note, "dump.parts", 0),
                 .bytes = json_int_or(note, "dump.bytes", 0)},
    };
    snprintf(ret->dump.sha256, sizeof ret->dump.sha256, "%s", json_str_or(note, "dump.sha256", ""));
    bool under_way = ret->step != HOP_SETTLED;
    if (ret->step < HOP_STEPS && ret->runs && (!under_way || (ret->from && ret->to)))
        return 0;
    return err_set(ctx, ERR_REFUSED, "SecretDamaged",
                   "the annotation " ANNOTATION_HOP " of the kept Secret tells no step of a hop");
}

static json_t *dump_json(const struct dump *dump)
{
    if (!dump->prefix)
        return NULL;
    return json_pack("{s:s, s:i, s:I, s:s}", "prefix", dump->prefix, "parts", dump->parts, "bytes",
                     (json_int_t)dump->bytes, "sha256", dump->sha256);
}

static const char *cut(struct ctx *ctx, const char *text)
{
    return text ? arena_strndup(ctx->arena, text, str_fit(text, HOP_WORD_BYTES)) : NULL;
}

const char *hop_retry(struct ctx *ctx, const json_t *registry)
{
    return cut(ctx, kube_annotation(registry, ANNOTATION_RETRY_HOP));
}

char *hop_note(struct ctx *ctx, const struct hop_state *state)
{
    _cleanup_json_ json_t *note = json_pack(
        "{s:s, s:s, s:s*, s:s*, s:s*, s:s, s:I, s:I, s:o*}", "step", hop_rows[state->step].name,
        "runs", state->runs, "from", state->from, "to", state->to, "why", cut(ctx, state->why),
        "retry", cut(ctx, state->retry), "tables", (json_int_t)state->tables, "schema",
        (json_int_t)state->schema, "dump", dump_json(&state->dump));
    return json_text(ctx->arena, note);
}

char *hop_fresh(struct ctx *ctx, const struct registry_operator *home,
                const struct registry_spec *spec)
{
    const struct hop_state state = {
        .runs = hop_full_version(home, spec->version), .retry = "", .schema = -1};
    return hop_note(ctx, &state);
}

const char *hop_version(const struct registry_scope *scope)
{
    return scope->hop.version ? scope->hop.version : scope->spec.version;
}

bool hop_moves(const struct registry_scope *scope)
{
    enum hop_step step = scope->hop.state.step;
    return step != HOP_SETTLED && step != HOP_ROLLED_BACK;
}

bool hop_is_open(const struct registry_scope *scope)
{
    const struct registry_hop *hop = &scope->hop;
    bool wanted = hop->wanted && hop->state.runs && !str_equal(hop->wanted, hop->state.runs);
    return wanted || hop_moves(scope);
}

bool hop_stops(const char *component)
{
    const struct registry_part *part = registry_part_of(component);
    return part && part->stops;
}

/* ---- what a schema tells ---- */

/* The numbers of migrations that belong to a minor version: versions.yaml. */
static bool is_of(const struct registry_operator *home, const char *version, int64_t schema)
{
    const char *minor;
    json_t *range;
    json_object_foreach(json_object_get(home->versions, "schemas"), minor, range) {
        size_t length = strlen(minor);
        if (strncmp(version, minor, length) == 0 && version[length] == '.')
            return schema >= json_int_or(range, "first", 0) &&
                   schema <= json_int_or(range, "last", 0);
    }
    return false;
}

const char *hop_refusal(struct ctx *ctx, const struct registry_operator *home,
                        const struct hop_state *state, const struct postgres_schema *schema,
                        const char **ret_reason)
{
    if (schema->tables == 0) /* nothing was ever stored: the new version makes it all */
        return NULL;
    *ret_reason = "SchemaDirty";
    if (schema->dirty)
        return arena_printf(ctx->arena,
                            "a migration to schema %lld began and did not end; end leftover "
                            "sessions, set the row of schema_migrations to the version before and "
                            "false, and delete the migration Job",
                            (long long)schema->version);
    *ret_reason = "SchemaUnknown";
    if (!is_of(home, state->runs, schema->version))
        return arena_printf(ctx->arena, "schema %lld of %d tables is none of Harbor %s",
                            (long long)schema->version, schema->tables, state->runs);
    return NULL;
}

const char *hop_failure(struct ctx *ctx, const struct registry_operator *home,
                        const struct hop_state *state, const struct postgres_schema *schema)
{
    if (schema->dirty)
        return arena_printf(ctx->arena, "the migration left schema %lld dirty",
                            (long long)schema->version);
    if (!is_of(home, state->to, schema->version) || schema->version < state->schema)
        return arena_printf(ctx->arena, "the migration left schema %lld, which is none of %s",
                            (long long)schema->version, state->to);
    return NULL;
}

/* ---- status ---- */

static void put_dump(const struct hop_state *state, json_t *status)
{
    json_t *dump = dump_json(&state->dump);
    json_object_del(status, "dump");
    if (!dump)
        return;
    json_object_set_new(dump, "from", json_string(state->from));
    json_object_set_new(dump, "to", json_string(state->to));
    json_put(status, "dump", dump);
}

void hop_status(struct ctx *ctx, const struct registry_scope *scope, json_t *status)
{
    const struct registry_hop *hop = &scope->hop;
    const struct hop_state *state = &hop->state;
    if (!state->runs)
        return; /* the pass did not get there */
    json_put(status, "version", json_string(state->runs));
    put_dump(state, status);
    if (hop->stalled)
        condition_set(ctx, status, "Migration", "False", hop->stalled, scope->generation, "%s",
                      hop->message);
    else if (hop_is_open(scope) && (state->step == HOP_SETTLED || (hop->held && !hop_moves(scope))))
        condition_set(ctx, status, "Migration", "Unknown", hop->waits, scope->generation,
                      "from %s to %s: %s", state->runs, hop->wanted,
                      hop->held ? hop->held : "it begins when the registry is open");
    else if (state->step != HOP_SETTLED)
        condition_set(ctx, status, "Migration", state->why ? "False" : "Unknown",
                      hop_rows[state->step].name, scope->generation, "from %s to %s: %s%s%s",
                      state->from, state->to, hop_rows[state->step].note, hop->held ? ": " : "",
                      hop->held ? hop->held : "");
    else if (state->to)
        condition_set(ctx, status, "Migration", "True", "Migrated", scope->generation,
                      "from %s to %s", state->from, state->to);
    else
        condition_remove(status, "Migration");
}
