/*
 * place: which cell gets a new resource. Pure; the choice and why every other cell was not chosen
 * are recorded in the row before anything is created, so that a decision can be read later.
 */
#pragma once

#include <jansson.h>

struct ctx;

/*
 * `cells`: array of {name, state, capacity, used, elsewhere}. Chooses the open cell with the
 * largest free share, unless the tenant is elsewhere; of equals the first by name. *ret_cell is
 * NULL when no cell can take it; then the reason tells whether only the tenant's others hinder
 * that. *ret_placement: {cell, reason, considered: [{cell, score, why_not}]}.
 */
void place_choose(struct ctx *ctx, const json_t *cells, const char **ret_cell,
                  json_t **ret_placement);
