/* What a Harbor answers, or whatever its customer has put in its place. */
#include "reconcilers/backends/harbor_answers.h"
#include "server/base/str.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

void fuzz_one(struct ctx *ctx, const char *text, size_t bytes)
{
    struct harbor_serving serving = {0};
    struct harbor_cookie cookie = {0};
    json_t *answer = NULL;
    if (harbor_parse_health(ctx, text, bytes, &serving) == 0)
        MUST(serving.components >= 1 && serving.components <= HARBOR_COMPONENTS_MAX &&
             (!serving.healthy || !*serving.unhealthy)); /* it may say so of the whole alone */
    (void)harbor_parse_token(ctx, text, bytes);
    const char *complaint = harbor_parse_complaint(ctx, text, bytes);
    MUST(strlen(complaint) <= HARBOR_WHAT_BYTES && !strpbrk(complaint, "\r\n"));
    if (harbor_parse_session(text, &cookie))
        MUST(*cookie.sid && !strpbrk(cookie.sid, "; \r\n"));
    MUST(!harbor_is_cron(text) || *text == '0');
    if (harbor_parse(ctx, text, bytes, &answer) < 0)
        return;
    struct harbor_gc_schedule schedule;
    struct harbor_gc_run run;
    const char *version = harbor_parse_version(answer);
    MUST(!version || *version);
    harbor_parse_gc_schedule(ctx, answer, &schedule);
    (void)harbor_parse_gc_run(ctx, answer, &run);
}
