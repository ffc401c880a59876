"""`flotillad do place`: from files, from a cell, from both; what it tells is what the operator then does; it writes nothing."""

import json
import subprocess
import xml.dom.minidom

import pytest
from harness import REPO
from harness.process import base_env, binary
from harness.wait import eventually

WORKERS, SAMPLE = REPO / "crds/examples/workers.yaml", REPO / "crds/examples/pipeline.yaml"
LEFT_OUT = "do place: left out: {} (another namespace than {}, or a kind that a placement does not look at)\n"
PLURALS = ("pipelines", "workerclasses", "pipelinebindings", "placementledgers")


def run(*words, stdin=None, env=None):
    return subprocess.run([binary(), "do", "place", *map(str, words)], input=stdin, capture_output=True, text=True,
                          env={**base_env("/tmp"), **(env or {})}, check=False, timeout=60)


def told(*words, status, **kwargs):
    done = run(*words, "-o", "json", **kwargs)
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout)


def pipeline(name, rate, **classes):
    """One stage after the other, as the keywords are: stage=class."""
    names = [*classes, None]
    workers = {stage: {"class": classes[stage], "next": [after] if after else []} for stage, after in zip(names, names[1:])}
    return {"apiVersion": "scheduling.k8s.xxii.io/v1alpha1", "kind": "Pipeline", "metadata": {"name": name},
            "spec": {"documentsPerSecond": rate, "workers": workers}}


def changed(**members):
    """A good one, but for these."""
    return json.dumps({**pipeline("p", 1, one="blue"), **members})


def pods(**counts):
    """Ready ones of each class, as kubectl prints them."""
    status = {"phase": "Running", "podIP": "10.0.0.1",
              "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-28T00:00:00Z"}]}
    labels = {name: {"scheduling.k8s.xxii.io/workerclass": name} for name in counts}
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"{name}-{at}", "labels": labels[name]}, "status": status}
        for name, count in counts.items() for at in range(count)]})


def test_the_sample_and_no_pod(tmp_path):
    answer = told("--dry-run", "-f", WORKERS, "-f", SAMPLE, status=3)
    (mine,) = answer["pipelines"]
    assert (mine["name"], mine["status"]["phase"], mine["status"]["waiting"]["pods"]) == ("my-pipeline", "Pending", 1)
    assert [(row["name"], row["reason"], row["missing"], row["podsToCome"]) for row in mine["status"]["stages"]] == [
        ("first", "WaitingForScale", 10, 1), ("second", "WaitingForScale", 10, 1), ("third", "WaitingForScale", 10, 1)]
    assert {row["name"]: row["status"]["wantedReplicas"] for row in answer["classes"]} == {"blue": 1, "green": 1, "yellow": 1}


def test_a_table_for_people():
    done = run("--explain", "default/my-pipeline", "-f", WORKERS, "-f", SAMPLE, "-f", "-",
               stdin=pods(blue=1, green=2, yellow=0))
    assert done.returncode == 3
    lines = [line.split() for line in done.stdout.splitlines()]
    assert done.stdout.startswith("my-pipeline: Pending, WaitingForScale: stage 'third' needs 10 documents/s of class 'yellow'")
    assert ["first", "blue", "10", "0", "0", "0", "Placed", "blue-0", "(10)"] in lines
    assert ["third", "yellow", "10", "10", "10", "1", "WaitingForScale", "yellow", "0", "to", "come", "(10)"] in lines
    assert ["green", "Equal", "Pack", "15", "2", "1", "10", "10", "10", "20"] in lines
    assert done.stderr == LEFT_OUT.format("StatefulSet default/blue-workers and 2 more", "default")


def worker_class(name, **spec):
    return {"apiVersion": "scheduling.k8s.xxii.io/v1alpha1", "kind": "WorkerClass", "metadata": {"name": name}, "spec": spec}


def test_zones_and_quotas_are_told(tmp_path):
    zoned = json.loads(pods(blue=2))
    for pod, zone in zip(zoned["items"], ("east", "west")):
        pod["metadata"]["labels"]["topology.kubernetes.io/zone"] = zone
    mine = pipeline("mine", 10, one="blue")
    mine["metadata"]["labels"] = {"flotilla.dev/tenant": "tn_acme"}
    blue = worker_class("blue", capacity=10, minZones=2, quotas=[{"tenant": "tn_acme", "documentsPerSecond": 10}])
    path = tmp_path / "all.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [blue, mine, *zoned["items"]]}), encoding="utf-8")
    done = run("--dry-run", "-f", path)
    assert done.returncode == 0 and "blue-0@east (5), blue-1@west (5)" in done.stdout, done.stdout + done.stderr
    told_class = told("--dry-run", "-f", path, status=0)["classes"][0]["status"]
    assert [row["name"] for row in told_class["zones"]] == ["east", "west"]
    mine["spec"]["documentsPerSecond"] = 11
    done = run("--dry-run", "-f", path, "-f", "-", stdin=json.dumps(mine))
    assert done.returncode == 3 and "tenant 'tn_acme' may use 10 documents/s of class 'blue' with all its pipelines, and this one asks for 11" in done.stdout
    blue["spec"]["minZones"] = 9
    refused = run("--dry-run", "-f", path, "-f", "-", stdin=json.dumps(blue))
    assert refused.returncode == 1 and "/spec/minZones" in refused.stderr


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_tells_the_words_and_the_statuses(word):
    done = run("--dry-run", word)
    assert done.returncode == 0 and not done.stderr
    for text in ("--kubeconfig FILE (else FLOTILLA_KUBECONFIG)", "YAML up to 1 MiB, JSON up to 32 MiB a file",
                 "0 all that is shown is placed (--graph: it is drawn)", "2 wrong words"):
        assert text in done.stdout


def test_what_a_terminal_would_obey_is_not_printed():
    odd = pipeline("odd", 1, one="\x1b[2J\u009b2J")
    done = run("--dry-run", "-f", "-", stdin=json.dumps(odd))
    assert done.returncode == 3 and "UnknownClass" in done.stdout
    odd["spec"]["workers"]["one"]["next"] = ["\x1b[2J\u009b2J"]
    refused = run("--graph", "dot", "-f", "-", stdin=json.dumps(odd))
    assert refused.returncode == 1 and "which is no stage" in refused.stderr
    printed = done.stdout + refused.stderr
    assert not [char for char in printed if char != "\n" and (char < " " or "\x7f" <= char < "\xa0")]


@pytest.mark.parametrize("words, says", [
    ((), "exactly one of --dry-run, --explain, --graph"),
    (("--dry-run",), "-f FILE, --kubeconfig FILE or both"),
    (("--dry-run", "--graph", "dot", "-f", SAMPLE), "exactly one of --dry-run, --explain, --graph"),
    (("--dry-run", "--explain", "x"), "exactly one of --dry-run, --explain, --graph"),
    (("--graph", "png", "-f", SAMPLE), "--graph: 'png' is none of: dot svg"),
    (("--dry-run", "-o", "yaml", "-f", SAMPLE), "-o: 'yaml' is none of: table json"),
    (("--explain", "my-pipeline", "-f", SAMPLE), "'my-pipeline': NAMESPACE/NAME is wanted, as in default/orders\n"),
    (("--explain", "/x", "-f", SAMPLE), "'/x': NAMESPACE/NAME is wanted, as in default/orders\n"),
    (("--graph", "dot", "default/", "-f", SAMPLE), "'default/': NAMESPACE/NAME is wanted, as in default/orders\n"),
    (("--explain", "Shop/x", "-f", SAMPLE), "Shop/x: 'Shop' is no name of a namespace\n"),
    (("--dry-run", "-n", "Shop/", "-f", SAMPLE), "-n: 'Shop/' is no name of a namespace\n"),
    (("--explain", "a/b", "-n", "c", "-f", SAMPLE), "a/b: another namespace than that of -n"),
    (("--dry-run", "-f"), "-f: a value is missing"),
    (("--dry-run", "--what", "-f", SAMPLE), "--what: no such option"),
])  # fmt: skip
def test_wrong_usage_says_what_is_right(words, says):
    done = run(*words)
    assert done.returncode == 2 and f"do place: {says}" in done.stderr, done.stderr


@pytest.mark.parametrize("text, says", [
    (json.dumps(pipeline("p", -1, one="blue")), "Pipeline 'p': /spec/documentsPerSecond is less than 0"),
    (json.dumps(pipeline("p", 1)), "Pipeline 'p': /spec/workers has fewer than 1 members"),
    (changed(apiVersion="scheduling.k8s.xxii.io/v1"),
     "Pipeline 'p': /apiVersion is 'scheduling.k8s.xxii.io/v1'; it must be scheduling.k8s.xxii.io/v1alpha1\n"),
    (changed(apiVersion="v1alpha1"), "Pipeline 'p': /apiVersion is 'v1alpha1'; it must be scheduling.k8s.xxii.io/v1alpha1\n"),
    (changed(kind="pipeline"), "pipeline 'p': /kind is 'pipeline'; it must be Pipeline\n"),
    (changed(kind="Pipelines"), "Pipelines 'p': /kind is none of its group\n"),
    (changed(metadata={}), "Pipeline '': /metadata/name is missing\n"),
    (changed(kind=None), "-: document 1: /kind is missing\n"),
    (changed(apiVersion=None), "-: document 1: /apiVersion is missing\n"),
    ("---\n" + changed() + "\n---\nhello\n", "-: document 2: it is no object\n"),
    ('{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1"}]}', "-: document 1: /items/0/kind is missing\n"),
    (json.dumps(pipeline("P", 1, one="blue")), "Pipeline 'P': /metadata/name must be a DNS label"),
    ('{"apiVersion": "scheduling.k8s.xxii.io/v1alpha1", "kind": "Pipeline", "metadata": {"name": "p"}}', "/spec"),
    ('{"apiVersion": "scheduling.k8s.xxii.io/v1alpha1", "kind": "WorkerClass", "metadata": {"name": "c"}, '
     '"spec": {"capacity": 1, "mode": "Half"}}', "/spec/mode is none of the values allowed: Equal, Weighted, Whole"),
    ("a: [", "-: line "),
    ('{"a": 1', "-: "),
])  # fmt: skip
def test_what_the_api_server_would_refuse(text, says):
    done = run("--dry-run", "-f", "-", stdin=text)
    assert done.returncode == 1 and says in done.stderr and not done.stdout, done.stderr


def test_no_such_pipeline():
    done = run("--explain", "default/other", "-f", WORKERS, "-f", SAMPLE)
    assert done.returncode == 1 and "Namespace default has no pipeline named other; there are: my-pipeline" in done.stderr
    assert run("--dry-run", "-f", "/nowhere").stderr == "do place: /nowhere: No such file or directory\n"


def test_which_of_several():
    many = {"apiVersion": "v1", "kind": "List", "items": [pipeline(f"p{at:02}", 1, one="blue") for at in range(12)]}
    done = run("--graph", "dot", "-f", "-", stdin=json.dumps(many))
    assert done.returncode == 1 and done.stderr == (
        "do place: Namespace default has several pipelines, and one has to be named; there are: "
        "p00, p01, p02, p03, p04, p05, p06, p07, p08, p09 and 2 more\n")


@pytest.mark.parametrize("text", ["", "---\n", '{"apiVersion": "v1", "kind": "List", "items": []}', WORKERS.read_text()])
@pytest.mark.parametrize("words", [("--dry-run",), ("--graph", "dot"), ("--explain", "default/other")])
def test_nothing_to_tell_is_no_success(words, text):
    done = run(*words, "-f", "-", stdin=text)
    assert done.returncode == 1 and done.stderr.endswith("do place: Namespace default has no pipeline\n") and not done.stdout


def test_a_pipeline_of_another_namespace_is_named():
    """With one beside it that is told of, too: who reads the answer must know that it is not of all."""
    done = run("--dry-run", "-n", "shop", "-f", SAMPLE, "-f", "-", stdin=changed(metadata={"name": "p", "namespace": "other"}))
    assert done.returncode == 3 and done.stderr == LEFT_OUT.format("Pipeline other/p", "shop")


def test_graphs():
    """A file alone is drawn; with classes and pods it says where each stage runs; a graph that is not drawn well is not drawn."""
    dot = run("--graph", "dot", "-f", SAMPLE)
    assert dot.returncode == 0 and '"second" -> "third";' in dot.stdout
    svg = run("--graph", "svg", "my-pipeline", "-f", WORKERS, "-f", SAMPLE, "-f", "-", stdin=pods(blue=1, green=1))
    texts = [item.firstChild.data for item in xml.dom.minidom.parseString(svg.stdout).getElementsByTagName("text")]
    assert texts == ["first", "blue", "10 documents/s", "blue-0", "second", "green", "10 documents/s", "green-0",
                     "third", "yellow", "10 documents/s", "WaitingForScale: 10 missing"]
    loop = pipeline("loop", 1, one="blue", two="blue")
    loop["spec"]["workers"]["two"]["next"] = ["one"]
    done = run("--graph", "svg", "-f", "-", stdin=json.dumps(loop))
    assert done.returncode == 1 and "stage 'one' comes behind itself" in done.stderr and not done.stdout


# ---- a cell, and its operator ----


def path(namespace, plural, name=""):
    return f"/apis/scheduling.k8s.xxii.io/v1alpha1/namespaces/{namespace}/{plural}/{name}".rstrip("/")


def status_of(dev, namespace, name):
    return dev.ok("GET", path(namespace, "pipelines", name)).get("status", {})


def settled(dev, namespace, name, reason):
    def is_so():
        status = status_of(dev, namespace, name)
        found = [row["reason"] for row in status.get("conditions", []) if row["type"] == "Ready"]
        assert found == [reason], status
        return status

    return eventually(is_so, 20, what=f"{name} {reason}")


def versions(dev, namespace):
    return {(plural, item["metadata"]["name"]): item["metadata"]["resourceVersion"]
            for plural in PLURALS for item in dev.ok("GET", path(namespace, plural))["items"]}


def without_times(status):
    status = json.loads(json.dumps(status))
    for row in status["conditions"]:
        del row["lastTransitionTime"], row["message"]
    for name in ("since", "deadline"):
        del status["waiting"][name]
    return status


def test_what_is_told_is_what_becomes_of_it(dev, namespace, flotillad):
    dev.apply("/api/v1/namespaces/flotilla-system", {"apiVersion": "v1", "kind": "Namespace",
                                                     "metadata": {"name": "flotilla-system"}})
    dev.kubectl("-n", namespace, "apply", "-f", WORKERS, "-f", SAMPLE)
    cell = ("--kubeconfig", dev.kubeconfig)
    flotillad(["operate", *cell])
    settled(dev, namespace, "my-pipeline", "Routed")
    before = versions(dev, namespace)

    now = told("--explain", f"{namespace}/my-pipeline", *cell, status=0)
    assert not now["changes"] and now["pipelines"][0]["status"] == status_of(dev, namespace, "my-pipeline")
    file = dev.kubectl("-n", namespace, "get", "pl,wc,pb,pled,pods", "-o", "yaml")
    assert told("--explain", f"{namespace}/my-pipeline", "-f", "-", stdin=file, status=0) == now

    wide = pipeline("wide", 40, one="green")
    wide["metadata"]["namespace"] = namespace
    would = told("--dry-run", *cell, "-f", "-", stdin=json.dumps(wide), status=3)
    assert would["changes"] and [row["name"] for row in would["pipelines"]] == ["my-pipeline", "wide"]
    assert would["pipelines"][0]["status"] == now["pipelines"][0]["status"], "nobody else is touched"
    assert versions(dev, namespace) == before, "nothing was written"

    dev.ok("POST", path(namespace, "pipelines"), wide)
    is_so = settled(dev, namespace, "wide", "WaitingForScale")
    assert without_times(is_so) == without_times(would["pipelines"][1]["status"])

    more = json.loads(pods(**{"green": 4}))
    more["items"] = [{**item, "metadata": {**item["metadata"], "name": f"green-workers-{at}"}}
                     for at, item in enumerate(more["items"]) if at > 1]
    (mine,) = [row for row in told("--dry-run", *cell, "-n", namespace, "-f", "-", stdin=json.dumps(more), status=0)["pipelines"]
               if row["name"] == "wide"]
    assert (mine["was"], mine["status"]["phase"]) == ("Pending", "Plotted"), "as if they had come"


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_cell_that_does_not_answer(dev, side):
    done = run("--dry-run", "--kubeconfig", dev.kubeconfig, env={"FLOTILLA_FAILPOINTS": f"kube.pipeline.list.{side}=error"})
    assert done.returncode == 1 and "kube.pipeline.list" in done.stderr, done.stderr
