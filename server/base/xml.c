#include "server/base/xml.h"

#include "server/base/cleanup.h"
#include "server/base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { BEFORE_ROOT, INSIDE, SELF_CLOSED, AFTER_ROOT, BROKEN };

void xml_init(struct xml *xml, const char *text, size_t bytes)
{
    *xml = (struct xml){.at = text, .end = text + bytes};
    static const char mark[] = "\xef\xbb\xbf";
    if (bytes >= sizeof mark - 1 && memcmp(text, mark, sizeof mark - 1) == 0)
        xml->at += sizeof mark - 1;
}

static enum xml_event bad(struct xml *xml)
{
    xml->state = BROKEN;
    xml->name[0] = xml->text[0] = '\0';
    return XML_BAD;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool looks_at(const struct xml *xml, const char *text)
{
    size_t length = strlen(text);
    return (size_t)(xml->end - xml->at) >= length && memcmp(xml->at, text, length) == 0;
}

/* Moves behind the next `text`; false when it never comes. */
static bool skip_behind(struct xml *xml, const char *text)
{
    const char *found = memmem(xml->at, (size_t)(xml->end - xml->at), text, strlen(text));
    if (found)
        xml->at = found + strlen(text);
    return found != NULL;
}

/* ---- text ---- */

static bool add_byte(struct xml *xml, size_t *length, unsigned byte)
{
    if (*length + 1 >= sizeof xml->text || byte == 0)
        return false;
    xml->text[(*length)++] = (char)byte;
    return true;
}

static bool add_utf8(struct xml *xml, size_t *length, uint32_t code)
{
    if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return false;
    if (code < 0x80)
        return add_byte(xml, length, code);
    if (code < 0x800)
        return add_byte(xml, length, 0xc0 | code >> 6) &&
               add_byte(xml, length, 0x80 | (code & 0x3f));
    if (code < 0x10000)
        return add_byte(xml, length, 0xe0 | code >> 12) &&
               add_byte(xml, length, 0x80 | (code >> 6 & 0x3f)) &&
               add_byte(xml, length, 0x80 | (code & 0x3f));
    return add_byte(xml, length, 0xf0 | code >> 18) &&
           add_byte(xml, length, 0x80 | (code >> 12 & 0x3f)) &&
           add_byte(xml, length, 0x80 | (code >> 6 & 0x3f)) &&
           add_byte(xml, length, 0x80 | (code & 0x3f));
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
}

/* "&#233;", "&#xe9;": `at` stands behind the "&#". */
static bool add_number(struct xml *xml, size_t *length)
{
    int base = looks_at(xml, "x") ? 16 : 10;
    xml->at += base == 16;
    uint32_t code = 0;
    int digits = 0;
    for (; xml->at < xml->end && *xml->at != ';'; xml->at++, digits++) {
        int digit = digit_of(*xml->at);
        if (digit >= base || digits == 8)
            return false;
        code = code * (uint32_t)base + (uint32_t)digit;
    }
    if (xml->at == xml->end || digits == 0)
        return false;
    xml->at++;
    return add_utf8(xml, length, code);
}

static bool add_entity(struct xml *xml, size_t *length)
{
    static const struct {
        const char *name;
        char byte;
    } entities[] = {
        {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''},
    };
    if (looks_at(xml, "&#")) {
        xml->at += 2;
        return add_number(xml, length);
    }
    for (size_t at = 0; at < ARRAY_SIZE(entities); at++)
        if (looks_at(xml, entities[at].name)) {
            xml->at += strlen(entities[at].name);
            return add_byte(xml, length, (unsigned char)entities[at].byte);
        }
    return false;
}

/* Text up to the next tag; comments in it are skipped, CDATA is taken as it is. */
static bool read_text(struct xml *xml)
{
    static const char cdata[] = "<![CDATA[", cdata_end[] = "]]>";
    size_t length = 0;
    while (xml->at < xml->end) {
        bool good = true;
        if (looks_at(xml, cdata)) {
            const char *from = xml->at += sizeof cdata - 1;
            good = skip_behind(xml, cdata_end);
            for (; good && from < xml->at - (sizeof cdata_end - 1); from++)
                good = add_byte(xml, &length, (unsigned char)*from);
        } else if (looks_at(xml, "<!--")) {
            good = skip_behind(xml, "-->");
        } else if (*xml->at == '<') {
            break;
        } else if (*xml->at == '&') {
            good = add_entity(xml, &length);
        } else {
            good = add_byte(xml, &length, (unsigned char)*xml->at);
            xml->at++;
        }
        if (!good)
            return false;
    }
    xml->text[length] = '\0';
    return true;
}

/* ---- tags ---- */

/* `at` stands at the name; a prefix is dropped. */
static bool read_name(struct xml *xml)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    size_t length = 0;
    for (; xml->at < xml->end; xml->at++) {
        if (*xml->at == ':') {
            length = 0;
            continue;
        }
        if (*xml->at == '\0' || !strchr(allowed, *xml->at))
            break;
        if (length + 1 >= sizeof xml->name)
            return false;
        xml->name[length++] = *xml->at;
    }
    xml->name[length] = '\0';
    return length > 0;
}

/* Behind the attributes and the '>'; a '>' within quotes is none. */
static bool skip_attributes(struct xml *xml, bool *closed)
{
    char quote = '\0', last = '\0';
    for (; xml->at < xml->end; last = *xml->at++) {
        if (quote) {
            quote = *xml->at == quote ? '\0' : quote;
        } else if (*xml->at == '"' || *xml->at == '\'') {
            quote = *xml->at;
        } else if (*xml->at == '<') {
            return false;
        } else if (*xml->at == '>') {
            *closed = last == '/';
            xml->at++;
            return true;
        }
    }
    return false;
}

static enum xml_event close_element(struct xml *xml)
{
    memcpy(xml->name, xml->stack[xml->open - 1], sizeof xml->name);
    xml->depth = xml->open--;
    xml->state = xml->open == 0 ? AFTER_ROOT : INSIDE;
    return XML_CLOSE;
}

static enum xml_event read_close(struct xml *xml)
{
    xml->at += 2;
    if (xml->open == 0 || !read_name(xml) || !str_equal(xml->name, xml->stack[xml->open - 1]))
        return bad(xml);
    while (xml->at < xml->end && is_blank(*xml->at))
        xml->at++;
    if (!looks_at(xml, ">"))
        return bad(xml);
    xml->at++;
    return close_element(xml);
}

static enum xml_event read_open(struct xml *xml)
{
    bool closed = false;
    xml->at++;
    if (xml->open == XML_DEPTH_MAX || !read_name(xml) || !skip_attributes(xml, &closed))
        return bad(xml);
    memcpy(xml->stack[xml->open++], xml->name, sizeof xml->name);
    xml->depth = xml->open;
    xml->text[0] = '\0';
    xml->state = closed ? SELF_CLOSED : INSIDE;
    return XML_OPEN;
}

/* Blanks, comments and processing instructions around the root; "<!DOCTYPE" is refused. */
static bool skip_around(struct xml *xml)
{
    for (;;) {
        while (xml->at < xml->end && is_blank(*xml->at))
            xml->at++;
        if (looks_at(xml, "<?") ? !skip_behind(xml, "?>")
                                : looks_at(xml, "<!--") && !skip_behind(xml, "-->"))
            return false;
        if (xml->at == xml->end ||
            (!is_blank(*xml->at) && !looks_at(xml, "<?") && !looks_at(xml, "<!--")))
            return true;
    }
}

enum xml_event xml_next(struct xml *xml)
{
    switch (xml->state) {
    case SELF_CLOSED:
        return close_element(xml);
    case BEFORE_ROOT:
        if (!skip_around(xml) || !looks_at(xml, "<"))
            return bad(xml);
        return read_open(xml);
    case AFTER_ROOT:
        if (!skip_around(xml) || xml->at != xml->end)
            return bad(xml);
        return XML_END;
    case INSIDE:
        if (!read_text(xml) || xml->at == xml->end)
            return bad(xml);
        return looks_at(xml, "</") ? read_close(xml) : read_open(xml);
    default:
        return XML_BAD;
    }
}
