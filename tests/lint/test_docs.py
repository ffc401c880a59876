"""The pages that are printed from the program's tables say what the program says."""

import re

import pytest
from harness import REPO
from harness.update_docs import PAGES, page


@pytest.mark.parametrize("name", PAGES)
def test_page_is_what_the_program_prints(name):
    wanted = page(name)
    assert wanted.count("\n|") > 10, "the table is there"
    assert (REPO / f"docs/{name}.md").read_text(encoding="utf-8") == wanted, "run tests/harness/update_docs.py"


def test_operations_tells_what_to_do_about_every_condition():
    page_text = (REPO / "docs/operations.md").read_text(encoding="utf-8")
    rows = re.findall(r'^CONDITION\("(\w+)", +"(\w+)"', (REPO / "api/conditions.def").read_text(encoding="utf-8"), re.MULTILINE)
    missing = [f"{kind}/{reason}" for kind, reason in rows if f"`{reason}`" not in page_text]
    assert len(rows) > 30 and not missing
