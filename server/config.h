/* Configuration: a const struct, built once from options and environment by config.def's rows. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CFG_TYPE_STRING const char *
#define CFG_TYPE_INT int64_t
#define CFG_TYPE_BOOL bool
struct config {
#define CFG(field, name, type, otherwise, min, max, roles, doc) CFG_TYPE_##type field;
#include "server/config.def"
#undef CFG
};

/*
 * Fills `ret` from argv[1] onward and the environment; strings live as long as the process. Returns
 * the index of the first argument that is no option, or -1 after a message on standard error that
 * names the option, its value's fault and what is allowed.
 */
int config_load(int argc, char **argv, struct config *ret);

/* The table as text, for `flotillad do config` and docs/configuration.md. */
void config_print(void);

/* Splits "127.0.0.1:8080"; false when it is no address with a port. */
bool config_split_listen(const char *listen, char address[64], int *ret_port);
