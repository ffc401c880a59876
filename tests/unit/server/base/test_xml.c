#include "server/base/xml.h"

#include "server/base/cleanup.h"
#include "server/base/str.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

/* All events in one line: "<name" opens, ">name=text" closes, "." is the end, "!" is bad. */
static char *told(struct ctx *ctx, const char *text, size_t bytes)
{
    struct str out;
    str_init(&out, 1 << 20);
    char *copy = malloc(bytes + 1); /* of exactly that size: the sanitizer sees a step too far */
    assert_non_null(copy);
    memcpy(copy, text, bytes);
    struct xml xml;
    xml_init(&xml, copy, bytes);
    for (enum xml_event event; (event = xml_next(&xml)) <= XML_CLOSE;)
        str_printf(&out, event == XML_OPEN ? "<%s" : ">%s=%s", xml.name, xml.text);
    str_add(&out, xml_next(&xml) == XML_END ? "." : "!");
    free(copy);
    char *line = arena_strdup(ctx->arena, str_text(&out));
    str_done(&out);
    return line;
}

static void reads(void **state)
{
    static const struct {
        const char *text, *told;
    } rows[] = {
        {"<a/>", "<a>a=."},
        {"<a></a>\n", "<a>a=."},
        {"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- x --><a><b>1</b><b>2</b></a>",
         "<a<b>b=1<b>b=2>a=."},
        {"<s:a xmlns:s='http://x/?a>b'><s:b c=\"/\">t</s:b></s:a>", "<a<b>b=t>a=."},
        {"<a>&lt;&amp;&gt;&quot;&apos;&#65;&#x42;&#xe9;&#x20ac;&#x1F600;</a>",
         "<a>a=<&>\"'AB\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80."},
        {"<a>x<!-- <b> -->y<![CDATA[<&]]>z</a>", "<a>a=xy<&z."},
        {"<a >x</a >", "<a>a=x."},
        {"<a><b/>rest</a>", "<a<b>b=>a=rest."},
    };
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++)
        assert_string_equal(told(*state, rows[at].text, strlen(rows[at].text)), rows[at].told);
}

static void refuses(void **state)
{
    static const char *const rows[] = {
        "",
        "text",
        "<a>",
        "<a",
        "<a></b>",
        "<a></a><b/>",
        "<a></a>x",
        "</a>",
        "<>x</>",
        "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
        "<a>&b;</a>",
        "<a>&#0;</a>",
        "<a>&#xd800;</a>",
        "<a>&#x110000;</a>",
        "<a>&#123456789;</a>",
        "<a>&#;</a>",
        "<a>&#x41</a>",
        "<a>& b</a>",
        "<a b='></a>",
        "<a <b></a>",
        "<a><![CDATA[x</a>",
        "<a><!-- </a>",
    };
    for (size_t at = 0; at < ARRAY_SIZE(rows); at++) {
        const char *line = told(*state, rows[at], strlen(rows[at]));
        if (line[strlen(line) - 1] != '!')
            fail_msg("'%s' was read: %s", rows[at], line);
    }
}

static void is_bounded(void **state)
{
    struct ctx *ctx = *state;
    struct str deep;
    str_init(&deep, 1 << 20);
    for (int at = 0; at < XML_DEPTH_MAX + 1; at++)
        str_add(&deep, "<a>");
    const char *line = told(ctx, deep.data, deep.length);
    assert_int_equal(line[strlen(line) - 1], '!');
    str_done(&deep);

    static char big[XML_TEXT_BYTES + 16];
    for (int more = 0; more < 2; more++) {
        memset(big, 'x', sizeof big);
        size_t text = XML_TEXT_BYTES - 1 + (size_t)more;
        memcpy(big, "<a>", 3);
        memcpy(big + 3 + text, "</a>", 4);
        line = told(ctx, big, text + 7);
        assert_int_equal(line[strlen(line) - 1], more ? '!' : '.');
    }
    assert_string_equal(told(ctx, "<a>\0</a>", 8), "<a!");
}

/* Cut anywhere, and with any byte changed, it ends and stays in its bounds. */
static void survives_damage(void **state)
{
    static const char text[] = "<?xml v?><a b='c'><d>&#65;&amp;</d><!-- --><e/><![CDATA[f]]></a>";
    char damaged[sizeof text];
    for (size_t cut = 0; cut < sizeof text - 1; cut++) {
        const char *line = told(*state, text, cut);
        assert_int_equal(line[strlen(line) - 1], '!');
        for (int byte = 0; byte < 256; byte++) {
            memcpy(damaged, text, sizeof text);
            damaged[cut] = (char)byte;
            told(*state, damaged, sizeof text - 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads),
        TEST(refuses),
        TEST(is_bounded),
        TEST(survives_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
