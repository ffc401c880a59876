/*
 * What calls and streams share: a copy of the target, and a libcurl handle set up for it. Internal
 * to curl.c and curl_io.c.
 */
#pragma once

#include "server/adapters/curl.h"

#include <curl/curl.h>

/* A deep copy; the key is wiped when it is freed. */
struct http_target *target_copy(const struct http_target *target);
void target_free(struct http_target *target);

/*
 * Resets `easy` and sets everything that does not depend on the request. The handle refers to
 * `target`, which must outlive it. -1 when libcurl refuses an option.
 */
int target_prepare(CURL *easy, const struct http_target *target);
/* Asks the target's bearer function, and sends what it says. */
int target_authorize(CURL *easy, const struct http_target *target);

/* Adds "name: value" unless value is NULL. */
struct curl_slist *target_header(struct curl_slist *headers, const char *name, const char *value);
struct curl_slist *target_line(struct curl_slist *headers, const char *line);
