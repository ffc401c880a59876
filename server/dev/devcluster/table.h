/* In which form objects go out: as they are, as metadata only, or as rows of a table. */
#pragma once

#include "server/dev/devcluster/cluster.h"

enum form { FORM_PLAIN, FORM_PARTIAL, FORM_TABLE };

enum include { INCLUDE_METADATA, INCLUDE_OBJECT, INCLUDE_NONE };

/* What the Accept header asks for. */
struct table_form {
    enum form form;
    const char *content_type;
    enum include include; /* with rows */
    bool columns_told;    /* of a stream: the first table has the columns, the others do not */
};

int table_form_of(struct call *call, struct table_form *ret);
/* One object in that form; in the arena. */
json_t *table_form_object(struct arena *arena, const struct kind *kind, struct table_form *form,
                          json_t *object);
/* The call's answer is this one object. */
int table_answer(struct call *call, json_t *object, bool created);
/* The call's answer is a list of these. */
int table_list_answer(struct call *call, json_t *items, json_t *metadata);

/*
 * A stored object as the kind shows it: core Events are a view of those of events.k8s.io. In the
 * arena.
 */
json_t *present_object(struct arena *arena, const struct kind *kind, json_t *object);
