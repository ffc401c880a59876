/*
 * cursor: the opaque nextCursor of a list: the last id of a page, bound to the list and to the key
 * that asked, so that a client can neither make one up nor carry it elsewhere. No state, no secret
 * of its own: the key's hash, which every replica knows, authenticates it.
 */
#pragma once

#include "server/http/api.h"

enum { PAGE_LIMIT_DEFAULT = 50, PAGE_LIMIT_MAX = 500 };

struct page {
    const char *after; /* "" = from the start */
    int limit;
};

/* From ?limit= (a number over the maximum counts as the maximum) and ?cursor=. */
int cursor_read(struct ctx *ctx, struct api_call *call, struct page *ret);
const char *cursor_make(struct ctx *ctx, const struct api_call *call, const char *last_id);
