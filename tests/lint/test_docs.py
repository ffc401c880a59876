"""The pages that are printed from the program's tables say what the program says."""

import pytest
from harness import REPO
from harness.update_docs import PAGES, page


@pytest.mark.parametrize("name", PAGES)
def test_page_is_what_the_program_prints(name):
    wanted = page(name)
    assert wanted.count("\n|") > 10, "the table is there"
    assert (REPO / f"docs/{name}.md").read_text(encoding="utf-8") == wanted, "run tests/harness/update_docs.py"
