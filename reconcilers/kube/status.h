/* From an HTTP answer of the Kubernetes API to an error of ours. Internal to this room. */
#pragma once

struct ctx;
struct http_response;

/* 0 for 2xx; else the error, with the server's message behind `what` ("apply Pod x/y"). */
int status_check(struct ctx *ctx, const struct http_response *response, const char *what);
