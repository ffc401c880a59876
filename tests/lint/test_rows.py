"""No row and no function without a user, and no word for people without its row: both ways, over the whole tree."""

import re

import pytest
import rows
from test_tree import REPO, files, sources, text_of

PRODUCT = [name for name in sources() if not name.startswith("tests/")]
VARIABLES_OF_TESTS = {f"FLOTILLA_{word}" for word in ("CACHE", "FUZZ", "HARBOR_BIN", "HOME", "SANITIZE", "STACK_INSIDE", "TEST_DIR", "TEST_KUBE")}
TABLES = [("server/base/errors.def", "ERR", "ERR_"), ("server/base/calls.def", "CALL", "CALL_"),
          ("server/net/metrics.def", "METRIC", "METRIC_")]  # fmt: skip


def under(*folders):
    return [text_of(name) for name in PRODUCT if name.startswith(folders)]


def condition_rows():
    return re.findall(r'^CONDITION\("(\w+)", +"(\w+)"', text_of("api/conditions.def"), re.M)


@pytest.mark.parametrize("table,macro,prefix", TABLES)
def test_every_row_is_used(table, macro, prefix):
    used = rows.mentions(text_of(name) for name in PRODUCT)
    names = rows.row_names(text_of(table), macro)
    assert len(names) > 20 and not [name for name in names if prefix + name not in used]


def test_metrics_get_as_many_labels_as_their_row_has():
    """They are variadic: the compiler counts nothing."""
    labels = dict(re.findall(r'^METRIC\((\w+), +"\w+", \w+, "([^"]*)"', text_of("server/net/metrics.def"), re.M))
    wrong, seen = [], 0
    for name in PRODUCT:
        for call in ("metric_add", "metric_set", "metric_observe"):
            for metric, _, *values in map(rows.pieces, rows.calls(text_of(name), call)):
                seen += 1
                wanted = [label for label in labels.get(metric.removeprefix("METRIC_"), "?").split(",") if label]
                if len(values) != len(wanted):
                    wrong.append(f"{name}: {metric} wants {wanted}, gets {values}")
    assert seen > 20 and not wrong


def test_every_setting_is_read():
    read = set(re.findall(r"(?:config|ret)->(\w+)", "".join(under("server/"))))
    names = rows.row_names(text_of("server/config.def"), "CFG")
    assert len(names) > 15 and not [name for name in names if name not in read]


def test_every_part_that_may_be_left_out_is_named_where_it_is_asked_for():
    parts = re.findall(r"^PART\((\w+), +true,", text_of("reconcilers/registry/parts.def"), re.M)
    named = re.search(r"CFG\(leave_out,.*no stack has here.*?: ([\w, ]+);", text_of("server/config.def"))[1]
    assert len(parts) > 5 and sorted(named.split(", ")) == sorted(parts)


def test_every_variable_is_known():
    """The program ignores one it does not know: a test would set it in vain."""
    settings = {f"FLOTILLA_{word.upper().replace('-', '_')}" for word in re.findall(r'^CFG\(\w+, +"([\w-]+)"', text_of("server/config.def"), re.M)}
    read = set(re.findall(r'getenv\("(FLOTILLA_\w+)"\)', "".join(under("server/base/", "server/config.c"))))
    named = {(name, word) for name in files() if name.startswith(("tests/", "server/dev/")) for word in rows.variables(text_of(name))}
    assert len(settings) > 15 and len(read) > 3 and len(named) > 100
    assert not [(name, word) for name, word in sorted(named) if word not in settings | read | VARIABLES_OF_TESTS]


def test_every_function_is_called():
    """Besides its declaration and its definition a name stands somewhere once more, be it in a test."""
    counts = rows.mentions(text_of(name) for name in sources())
    offered = {name: header for header in PRODUCT if header.endswith(".h") for name in rows.declared(text_of(header))}
    unused = [f"{header}: {name}" for name, header in offered.items() if counts[name] < 3]
    assert len(offered) > 300 and not unused


def test_every_condition_in_the_code_has_its_row():
    known = set(condition_rows())
    pairs = {pair for text in under("reconcilers/") for pair in rows.conditions(text)}
    assert len(pairs) > 20 and not pairs - known


def test_every_row_of_a_condition_is_set_somewhere():
    said = {word for text in under("reconcilers/") for word in rows.words(text)}
    said |= set(re.findall(r'"([A-Z]\w+)"', text_of("server/base/errors.def")))
    assert not [row for row in condition_rows() if row[1] not in said]


def test_what_a_person_must_mend_has_its_row():
    """ERR_TAKEN ends in the condition Stalled (inside of Harbor in Managed), a claim that has to wait in BackendsReady."""
    taken = {reason or "Taken" for text in under("reconcilers/registry/", "reconcilers/engine/", "reconcilers/backends/")
             for reason in rows.refusals(text, "ERR_TAKEN")}  # fmt: skip
    waits = set(rows.refusals(text_of("reconcilers/registry/claim.c"), "ERR_WAITING"))
    inside = {reason for text in under("reconcilers/backends/harbor") for reason in rows.refusals(text, "ERR_TAKEN")}
    wanted = {("Managed" if reason in inside else "Stalled", reason) for reason in taken} | {("BackendsReady", reason) for reason in waits}
    assert len(taken) > 3 and len(waits) > 1 and not wanted - set(condition_rows())


def test_operations_tells_what_to_do_about_every_finding():
    page = (REPO / "docs/operations.md").read_text(encoding="utf-8")
    audits = (("reconcilers/registry/audit.c", "found"), ("reconcilers/fleet/audit.c", "report"))
    said = [rows.words(arguments) for name, call in audits for arguments in rows.calls(text_of(name), call)]
    said += [[word for word in rows.words(text_of(name)) if word.startswith(("Orphan", "Missing"))] for name, _ in audits]
    verdicts = re.findall(r'X\(\w+, "(\w+)"', text_of("reconcilers/fleet/resource.h"))
    kinds = set(re.findall(r'"([A-Z]\w+)"', text_of("reconcilers/kube/kinds.def")))
    wanted = {word for each in [*said, verdicts] for word in each} - kinds - {"Current"}
    assert len(wanted) > 20 and not [word for word in sorted(wanted) if f"`{word}`" not in page]


def test_files_that_documents_name_are_there():
    pages = ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/flow.md", "docs/operations.md", "docs/README.md"]
    named = [(page, path) for page in pages for path in re.findall(r"`((?:[a-z_]+/)+[\w.]+)`", text_of(page))]
    assert len(named) > 20 and not [(page, path) for page, path in named if not (REPO / path).exists()]


def test_both_layers_know_the_same_newest_patches():
    """What the provider API orders and what "2.15" in a custom resource means are one decision."""
    ordered = re.findall(r'^VERSION\("(\d+\.\d+)\.(\d+)"', text_of("api/versions.def"), re.M)
    named = re.findall(r'"(\d+\.\d+)": \1\.(\d+)', text_of("reconcilers/registry/manifests/versions.yaml"))
    assert ordered and sorted(ordered) == sorted(named)


def test_finer_reasons_have_their_rows():
    """Each pair of error and word in the code stands in the table, and each row in the code."""
    known = set(re.findall(r'^REASON\((\w+), +"(\w+)"', text_of("server/base/reasons.def"), re.M))
    given = {pair for name in PRODUCT if name.endswith((".c", ".h")) for pair in rows.reasons(text_of(name))}
    assert len(known) > 80 and known == given
