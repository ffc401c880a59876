/* The commands of flotillad. Each returns the process' exit status. */
#pragma once

struct config;

int cmd_serve(const struct config *config, int argc, char **argv);
int cmd_fleet(const struct config *config, int argc, char **argv);
int cmd_operate(const struct config *config, int argc, char **argv);
int cmd_all(const struct config *config, int argc, char **argv);
int cmd_migrate(const struct config *config, int argc, char **argv);
int cmd_bootstrap_key(const struct config *config, int argc, char **argv);
int cmd_rekey(const struct config *config, int argc, char **argv);
int cmd_audit(const struct config *config, int argc, char **argv);
int cmd_do(const struct config *config, int argc, char **argv);
/* `do place`; argv begins behind these words. */
int cmd_place(const struct config *config, int argc, char **argv);
