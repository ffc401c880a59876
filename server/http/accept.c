#include "server/http/accept.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define BLANK " \t"

/* One range of the header, a type or a family of them, with parameters. No NUL ends it. */
struct range {
    const char *text;
    size_t type, whole; /* bytes without and with parameters */
};

/* The next one behind *at; false at the end. */
static bool next_range(const char **at, struct range *ret)
{
    *at += strspn(*at, BLANK ",");
    *ret =
        (struct range){.text = *at, .type = strcspn(*at, BLANK ",;"), .whole = strcspn(*at, ",")};
    *at += ret->whole;
    return ret->whole > 0;
}

static bool is_text(const char *text, size_t bytes, const char *wanted)
{
    return strlen(wanted) == bytes && strncasecmp(text, wanted, bytes) == 0;
}

/* How close a range comes to a type: 3 names it, 2 its family, 1 everything, 0 something else. */
static int closeness(const struct range *range, const char *type)
{
    size_t family = strcspn(type, "/") + 1;
    if (is_text(range->text, range->type, type))
        return 3;
    if (range->type == family + 1 && range->text[family] == '*' &&
        strncasecmp(range->text, type, family) == 0)
        return 2;
    return is_text(range->text, range->type, "*/*");
}

/* "0", "0.25", "1.000"; what is no weight is none. */
static int thousandths(const char *text, size_t bytes)
{
    int weight = 0, unit = ACCEPT_WEIGHT_MAX;
    for (size_t at = 0; at < bytes; at++) {
        if (at == 1 ? text[at] != '.' : text[at] < '0' || text[at] > '9')
            return 0;
        if (at == 1)
            continue;
        weight += (text[at] - '0') * unit;
        unit /= 10;
    }
    return weight > ACCEPT_WEIGHT_MAX ? 0 : weight;
}

/* Of its first parameter `q`; without one it is wanted as much as can be. */
static int weight_of(const struct range *range)
{
    const char *at = range->text + range->type, *end = range->text + range->whole;
    while (at < end) {
        at += strspn(at, BLANK ";");
        size_t bytes = strcspn(at, BLANK ",;");
        if (bytes >= 2 && strncasecmp(at, "q=", 2) == 0)
            return thousandths(at + 2, bytes - 2);
        at += bytes;
    }
    return ACCEPT_WEIGHT_MAX;
}

int accept_weight(const char *accept, const char *type)
{
    struct range range;
    int closest = 0, weight = 0;
    if (!accept)
        return ACCEPT_WEIGHT_MAX;
    while (next_range(&accept, &range)) {
        int close = closeness(&range, type);
        if (close <= closest)
            continue;
        closest = close;
        weight = weight_of(&range);
    }
    return weight;
}
