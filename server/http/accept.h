/*
 * accept: how much a client wants an answer of a media type, by its header Accept (RFC 9110,
 * 12.5.1): of the ranges that hold the type the closest one counts. Parameters but `q` are not
 * looked at. Pure.
 */
#pragma once

enum { ACCEPT_WEIGHT_MAX = 1000 };

/* q in thousandths; 0 = it is not wanted. `accept` NULL = whatever there is. */
int accept_weight(const char *accept, const char *type);
