/* The process_* metrics that every Prometheus client exposes, read from /proc/self. */
#pragma once

struct str;

void process_write(struct str *out);
