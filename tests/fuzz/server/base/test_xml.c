/* XML of object stores: the reader comes to an end, opens and closes in pairs, and stays at BAD. */
#include "server/base/xml.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

void fuzz_one(struct ctx *ctx, const char *text, size_t bytes)
{
    struct xml xml;
    enum xml_event event;
    int open = 0;
    (void)ctx;
    xml_init(&xml, text, bytes);
    for (size_t events = 0; (event = xml_next(&xml)) == XML_OPEN || event == XML_CLOSE; events++) {
        MUST(events <= 2 * bytes);
        MUST(strlen(xml.name) < XML_NAME_BYTES && xml.depth >= 1 && xml.depth <= XML_DEPTH_MAX);
        open += event == XML_OPEN ? 1 : -1;
        MUST(open >= 0 && (event == XML_OPEN || strlen(xml.text) < XML_TEXT_BYTES));
    }
    MUST(event == XML_BAD || open == 0);
    MUST(xml_next(&xml) == event);
}
