/*
 * A small pull reader for the XML that object stores answer with: elements and text. It knows no
 * DTD (and so no entity of a stranger's making), no attributes' values, no namespaces: prefixes are
 * dropped. Depth, names and texts are bounded; memory is what the caller gives. Nothing is trusted:
 * what does not fit ends in XML_BAD and stays there.
 */
#pragma once

#include <stddef.h>

enum { XML_DEPTH_MAX = 16, XML_NAME_BYTES = 64, XML_TEXT_BYTES = 4096 };

enum xml_event { XML_OPEN, XML_CLOSE, XML_END, XML_BAD };

struct xml {
    const char *at, *end;
    int depth; /* of the element that the last event was about; the root's is 1 */
    /* Of that element. Valid until the next event. */
    char name[XML_NAME_BYTES];
    /* At XML_CLOSE: the decoded text since the last tag: what a leaf holds. */
    char text[XML_TEXT_BYTES];

    int open; /* elements that are open */
    char stack[XML_DEPTH_MAX][XML_NAME_BYTES];
    int state; /* the reader's own */
};

void xml_init(struct xml *xml, const char *text, size_t bytes);
enum xml_event xml_next(struct xml *xml);
