"""Every rule finds what is planted, and lets pass what is allowed: a linter that finds nothing proves nothing."""

import pytest
import rows
import rules

LONG_FUNCTION = "int f(void)\n{\n" + "    x();\n" * 90 + "}\n"

PLANTED = [
    (rules.includes, "server/base/x.c", '#include "server/adapters/pg.h"\n', "may not include"),
    (rules.includes, "server/handlers/x.c", '#include "reconcilers/kube/client.h"\n', "may not include"),
    (rules.includes, "server/store/x.c", '#include "server/http/route.h"\n', "may not include"),
    (rules.includes, "reconcilers/registry/x.c", '#include "server/store/rows.h"\n', "may not include"),
    (rules.includes, "reconcilers/engine/x.c", '#include "reconcilers/registry/plan.h"\n', "may not include"),
    (rules.includes, "reconcilers/loadbalancer/agent/x.c", '#include "reconcilers/kube/client.h"\n', "may not include"),
    (rules.includes, "server/http/x.c", '#include "../store/rows.h"\n', "from the root"),
    (rules.includes, "reconcilers/registry/x.c", "#include <libpq-fe.h>\n", "belongs to server/adapters"),
    (rules.includes, "reconcilers/kube/x.c", "#include <curl/curl.h>\n", "belongs to"),
    (rules.banned, "api/x.c", "    strcpy(a, b);\n", "strcpy"),
    (rules.banned, "api/x.c", "    return atoi (a);\n", "atoi"),
    (rules.walks_over_a_call, "api/x.c", "json_array_foreach(list(ctx, a), at, item)\n", "list() is called again"),
    (rules.walks_over_a_call, "api/x.c", 'json_object_foreach(json_at(read(a),\n "b"), key, value)\n', "read() is called again"),
    (rules.lengths, "api/x.c", LONG_FUNCTION, "f has 92 lines"),
    (rules.lengths, "api/x.c", "int a;\n" * 601, "601 lines"),
    (rules.lengths, "api/x.h", "int a;\n" * 201, "201 lines"),
    (rules.ascii_only, "api/x.c", "/* caf\u00e9 */\n", "not ASCII"),
    (rules.readme_length, "api/README.md", "line\n" * 26, "26 lines"),
]

ALLOWED = [
    (rules.includes, "server/handlers/x.c", '#include "server/adapters/pg.h"\n'),
    (rules.includes, "reconcilers/registry/x.c", '#include "reconcilers/kube/client.h"\n#include <jansson.h>\n'),
    (rules.includes, "reconcilers/fleet/x.c", '#include "server/store/rows.h"\n'),
    (rules.includes, "server/main.c", '#include "reconcilers/registry/registry.h"\n#include <curl/curl.h>\n'),
    (rules.includes, "server/adapters/x.c", "#include <libpq-fe.h>\n"),
    (rules.includes, "tests/unit/x.c", '#include "reconcilers/registry/plan.h"\n'),
    (rules.banned, "api/x.c", '/* strcpy(a) */ say("system(1)"); table->system(1); my_atoi(2);\n'),
    (rules.walks_over_a_call, "api/x.c", 'json_array_foreach(json_at(a, "b(c)"), at, item)\n    use(item);\n'),
    (rules.walks_over_a_call, "api/x.c", "json_object_foreach((json_t *)(uintptr_t)a, key, value)\n    use(value);\n"),
    (rules.lengths, "api/x.c", "int f(void)\n{\n" + "    x();\n" * 78 + "}\n"),
    (rules.readme_length, "api/README.md", "line\n" * 25),
]


@pytest.mark.parametrize("rule,path,text,complaint", PLANTED)
def test_finds(rule, path, text, complaint):
    found = list(rule(path, text))
    assert len(found) == 1 and complaint in found[0]


@pytest.mark.parametrize("rule,path,text", ALLOWED)
def test_lets_pass(rule, path, text):
    assert not list(rule(path, text))


def test_counts_code_lines():
    assert rules.code_lines("/* a\n b */\n\nint f(void)\n{\n    return 1;\n}\n") == 2


def test_counts_json_calls():
    assert rules.json_calls('json_object_set_new(a, "b", json_pack("{}")); /* json_pack() */ json_get(a);') == 2


SETS = """
static int set_ready(struct ctx *ctx); /* condition_set(x, "Gone", "True", "Comment"); */
    set(in, "Ready", "False", closed ? "Closing" : "Progressing", failure_message(in));
    condition_set(ctx, status, "Open", is_open(a, b) ? "True" : "False", "NoneOpen", 1, "some words, (in) brackets");
    set_ready(ctx, "False", "Failed", message);
    return err_set(ctx, ERR_TAKEN, "Held", "by %s", name);
    return err_set(ctx, ERR_TAKEN, NULL, "by %s", name);
    return err_set(ctx, ERR_WAITING, "Later", "x");
"""


def test_rows_of_conditions_and_refusals():
    assert set(rows.conditions(SETS)) == {("Ready", "Closing"), ("Ready", "Progressing"), ("Open", "NoneOpen")}
    assert list(rows.refusals(SETS, "ERR_TAKEN")) == ["Held", None]


def test_arguments_are_counted():
    assert rows.pieces("METRIC_X, (double)f(a, b), {1, 2}, name") == ["METRIC_X", "(double)f(a, b)", "{1, 2}", "name"]


def test_variables_are_named_in_full():
    assert rows.variables('{"FLOTILLA_LISTEN": "", f"FLOTILLA_DATABASE_{role}": ""}; FLOTILLAD') == ["FLOTILLA_LISTEN"]


def test_names_that_a_header_offers_and_that_are_used():
    header = "int pg_open(struct ctx *ctx);\nstatic inline int own(void)\n{\n    return two(1);\n}\nstruct a *a_new(\n    int b);\n"
    assert rows.declared(header) == ["pg_open", "a_new"]
    assert rows.mentions(["a(b); /* a */", 'a("a");'])["a"] == 2
    assert rows.row_names('METRIC(ONE, "x")\n/* METRIC(TWO) */\n', "METRIC") == ["ONE"]
