"""The graph of a pipeline as SVG and as DOT: which of them, the same bytes as `do place --graph`, and strangers' words in it."""

import json
import subprocess
import xml.dom.minidom

import pytest

from harness.process import base_env, binary

SVG, DOT = "image/svg+xml", "text/vnd.graphviz"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
DRAWN = {"svg": {"xmlns", "width", "height", "viewBox", "font-family", "font-size"}, "title": set(), "defs": set(),
         "marker": {"id", "viewBox", "refX", "refY", "markerWidth", "markerHeight", "orient"}, "g": {"fill", "stroke"},
         "path": {"d", "fill", "marker-end"}, "rect": {"x", "y", "width", "height", "rx", "fill", "stroke"},
         "text": {"x", "y", "font-weight"}}  # fmt: skip
HOSTILE = [
    "<script>alert(1)</script>",
    '"><svg onload="alert(1)">',
    "]]><![CDATA[<!ENTITY x SYSTEM 'file:///x'>",
    "&lt;b&gt; &#60; &unknown;",
    "a\\\"]; evil -> node [URL=\"javascript:1\"",
    "\\N \\G \\",
    "line\nfeed\tand\u0001\u007f\u0085\ufffe",
    "\u202eright to left\u2066 \u00e9\U0001f600",
]


def graph(tenant, pipeline, **headers):
    return tenant.api.get(f"{tenant.path}/pipelines/{pipeline['id']}/graph", headers=headers)


def place(form, pipeline):
    """What `flotillad do place --graph` draws of the same spec, alone."""
    item = {"apiVersion": "scheduling.k8s.xxii.io/v1alpha1", "kind": "Pipeline", "metadata": {"name": pipeline["name"]},
            "spec": pipeline["spec"]}
    done = subprocess.run([binary(), "do", "place", "--graph", form, "-f", "-"], input=json.dumps(item).encode(),
                          env=base_env("/tmp"), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def texts(svg):
    return [item.firstChild.data for item in xml.dom.minidom.parseString(svg).getElementsByTagName("text")]


@pytest.fixture(scope="module")
def line(tenant):
    return tenant.create_pipeline().json


@pytest.mark.parametrize("accept,type_", [
    (None, SVG), ("*/*", SVG), (BROWSER, SVG), ("image/*", SVG), (SVG, SVG), (f"{DOT}, {SVG}", SVG), (DOT, DOT), ("text/*", DOT),
    (f"{SVG};q=0.5, {DOT}", DOT), (f"*/*, {SVG};q=0", DOT), ("application/json, */*;q=0.1", SVG),
])  # fmt: skip
def test_the_form_is_what_is_accepted(tenant, line, accept, type_):
    answer = graph(tenant, line, Accept=accept)
    assert answer.status == 200 and answer.headers["Content-Type"].split(";")[0] == type_
    assert answer.body == place({SVG: "svg", DOT: "dot"}[type_], line) and len(answer.body) > 100
    assert answer.headers["Vary"] == "Accept"


@pytest.mark.parametrize("accept", ["application/json", "image/png", "text/html", f"{SVG};q=0, {DOT};q=0", "*/*;q=0"])
def test_what_there_is_not_is_406(tenant, line, accept):
    answer = graph(tenant, line, Accept=accept)
    assert (answer.status, answer.json["code"]) == (406, "NotAcceptable")
    assert SVG in answer.json["detail"] and DOT in answer.json["detail"] and not answer.json["retryable"]


def test_an_etag_of_the_picture(service, tenant):
    made = tenant.create_pipeline(rate=10).json
    first, dot = graph(tenant, made), graph(tenant, made, Accept=DOT)
    assert first.headers["ETag"] != dot.headers["ETag"]
    same = graph(tenant, made, **{"If-None-Match": first.headers["ETag"]})
    assert (same.status, same.body, same.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert graph(tenant, made, **{"If-None-Match": dot.headers["ETag"]}).status == 200
    faster = tenant.api.call("PATCH", f"{tenant.path}/pipelines/{made['id']}", {"spec": {"documentsPerSecond": 20}})
    assert faster.status == 202
    after = graph(tenant, made, **{"If-None-Match": first.headers["ETag"]})
    assert after.status == 200 and "20 documents/s" in texts(after.body)
    head = tenant.api.call("HEAD", f"{tenant.path}/pipelines/{made['id']}/graph")
    assert (head.status, head.body, head.headers["ETag"]) == (200, b"", after.headers["ETag"])


def test_words_of_strangers_stay_words(tenant):
    names = [f"s{number}" for number in range(len(HOSTILE))]
    workers = {name: {"class": word, "next": names[at + 1 : at + 2]} for at, (name, word) in enumerate(zip(names, HOSTILE, strict=True))}
    answer = tenant.api.post(f"{tenant.path}/pipelines", {**tenant.pipeline_body(workers=workers)})
    assert answer.status == 202, answer.body
    made = answer.json
    assert [made["spec"]["workers"][name]["class"] for name in names] == HOSTILE, "validation lets them through"
    picture = graph(tenant, made)
    for item in xml.dom.minidom.parseString(picture.body).getElementsByTagName("*"):
        assert set(item.attributes.keys()) <= DRAWN[item.tagName], item.toxml()
    assert {"<script>alert(1)</script>", "&lt;b&gt; &#60; &unknown;"} < set(texts(picture.body))
    assert picture.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert picture.headers["X-Content-Type-Options"] == "nosniff"
    dot = graph(tenant, made, Accept=DOT)
    assert dot.headers["Content-Type"] == f"{DOT}; charset=utf-8"
    lines = dot.body.decode().splitlines()
    assert len(lines) == 4 + len(HOSTILE) + len(HOSTILE) - 1, "none begins a line of its own"
    assert 'a\\\\\\"]; evil -> node [URL=\\"javascript:1\\"' in dot.body.decode()
    for form, drawn in (("svg", picture), ("dot", dot)):
        assert drawn.body == place(form, made)


def test_the_largest_graph_has_room(tenant):
    """32 stages with as many edges as 16 KiB of JSON hold, and the longest names of classes."""
    names = [f"s{number}" for number in range(32)]
    workers = {name: {"class": "&" * 63, "next": names[at + 1 :]} for at, name in enumerate(names)}
    answer = tenant.api.post(f"{tenant.path}/pipelines", tenant.pipeline_body(workers=workers))
    assert answer.status == 202, answer.body
    picture = graph(tenant, answer.json)
    assert len(picture.body) < 256 * 1024 and len(texts(picture.body)) == 3 * 32
    assert picture.body.endswith(b"</svg>\n")


def test_who_sees_it(service, tenant, other, line):
    path = f"{tenant.path}/pipelines/{line['id']}/graph"
    assert service.provider.get(path).status == 200
    assert other.api.get(path).status == 404
    assert tenant.api.get(f"{other.path}/pipelines/{line['id']}/graph").status == 404
    assert tenant.api.get(f"{tenant.path}/pipelines/{tenant.create().json['id']}/graph").status == 404, "a registry has none"
    assert tenant.api.get(f"{path}?format=dot").codes == [("?format", "UnknownParameter")]
    refused = tenant.api.post(path, {})
    assert (refused.status, refused.headers["Allow"]) == (405, "GET")
    gone = tenant.create_pipeline().json
    service.database.query("UPDATE resource SET lifecycle = 'closed', purge_after = now(), purge_started_at = now(), deleted_at = now()"
                           " WHERE id = %s", gone["id"])
    assert (graph(tenant, gone).status, graph(tenant, gone).json["code"]) == (410, "PipelineDeleted")


def test_a_graph_that_came_from_a_cell_badly_drawn(service, tenant):
    made = tenant.create_pipeline().json
    service.database.query("UPDATE resource SET spec = jsonb_set(spec, '{workers,second,next}', '[\"first\"]') WHERE id = %s", made["id"])
    answer = graph(tenant, made)
    assert (answer.status, answer.json["code"]) == (409, "NotDrawn") and "comes behind itself" in answer.json["detail"]
