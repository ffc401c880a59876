/* What registries are made of and where they run: plans, cells, the fleet's counters. */
#pragma once

#include "server/store/tenant.h"

#include <stdint.h>

int store_plan_list(struct ctx *ctx, struct pg *pg, struct pg_rows *ret);
int store_plan_find(struct ctx *ctx, struct pg *pg, const char *name, bool *ret_found);
/* `kubeconfig` is the name of a file in the fleet process's directory of kubeconfigs. */
int store_cell_insert(struct ctx *ctx, struct pg *pg, const char *name, const char *kubeconfig,
                      int64_t capacity, const struct store_actor *actor);
int store_cell_view(struct ctx *ctx, struct pg *pg, const char *name, const char **ret_body);
int store_cell_list(struct ctx *ctx, struct pg *pg, const struct store_page *page,
                    struct pg_rows *ret);
int store_status_view(struct ctx *ctx, struct pg *pg, const char **ret_body);
