#include "reconcilers/engine/finding.h"

/* A server's words may be in any encoding, which must not lose the finding. */
static json_t *text(const char *words)
{
    json_t *value = json_string(words);
    return value ? value : json_string("(not UTF-8)");
}

void finding_add(json_t *findings, const struct finding *finding)
{
    json_array_append_new(findings,
                          json_pack("{s:s, s:s, s:o, s:s, s:o}", "finding", finding->finding,
                                    "kind", finding->kind, "object", text(finding->object), "cell",
                                    finding->cell, "detail", text(finding->detail)));
}
