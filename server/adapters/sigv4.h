/*
 * AWS Signature Version 4, written from its specification: pure, nothing is sent here. The libcurl
 * of Debian 12 signs a query key without a value wrongly, and signs no payload that we choose.
 *
 * What is signed is what must be sent: send sigv4_path() and sigv4_query() and nothing else. A
 * path is encoded once, as S3 wants it (other services of Amazon want it twice), and its dots and
 * double slashes stay: they are part of an object's name.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct arena;

enum { SIGV4_TIME_BYTES = 17, SIGV4_SIGNATURE_BYTES = 65 };

/* Not encoded. Query: value NULL is "". Headers: a name may come more than once. */
struct sigv4_pair {
    const char *name, *value;
};

struct sigv4_request {
    const char *method;
    const char *path; /* not encoded, begins with a slash */
    const struct sigv4_pair *query;
    size_t query_count;
    const struct sigv4_pair *headers; /* all of them are signed; Host must be there */
    size_t header_count;
    const char *payload_hash; /* SHA-256 in hex, or what else the service takes there */
    int64_t time_s;           /* since the epoch */
    const char *region, *service;
    const char *access_key, *secret_key;
};

struct sigv4_signature {
    const char *credential;     /* "AKID/20130524/us-east-1/s3/aws4_request" */
    const char *signed_headers; /* "host;x-amz-date" */
    char hex[SIGV4_SIGNATURE_BYTES];
};

void sigv4_sign(struct arena *arena, const struct sigv4_request *request,
                struct sigv4_signature *ret);
/* The value of the header Authorization. */
char *sigv4_authorization(struct arena *arena, const struct sigv4_request *request);

/* "20130524T000000Z", as X-Amz-Date carries it. */
char *sigv4_time(char out[SIGV4_TIME_BYTES], int64_t time_s);
char *sigv4_path(struct arena *arena, const char *path);
/* Encoded and sorted, without the question mark; "" when there is none. */
char *sigv4_query(struct arena *arena, const struct sigv4_pair *query, size_t count);
