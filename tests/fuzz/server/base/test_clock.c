/* Times as people write them: what is one is written again as the same, to the second. */
#include "server/base/clock.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

/* From the year 0 to 9999, in UTC: an offset leads out of them, where there is no form. */
enum { FORM_BYTES = sizeof "2026-11-21T08:30:00Z" - 1 };

void fuzz_one(struct ctx *ctx, const char *text, size_t bytes)
{
    char form[CLOCK_RFC3339_BYTES];
    int64_t ms = 0, again = 0;
    (void)ctx;
    (void)bytes;
    if (clock_parse_rfc3339(text, &ms) < 0)
        return;
    clock_rfc3339(form, ms, 0);
    if (strlen(form) != FORM_BYTES || form[0] == '-')
        return;
    MUST(clock_parse_rfc3339(form, &again) == 0);
    MUST(again <= ms && ms < again + 1000);
    clock_rfc3339(form, ms, 6);
    MUST(clock_parse_rfc3339(form, &again) == 0 && again == ms);
}
