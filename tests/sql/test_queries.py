"""Every file of sql/queries: PostgreSQL accepts it for the role that runs it, and C code runs it."""

import re

import pytest

from harness import REPO

QUERIES = sorted((REPO / "sql/queries").glob("*.sql"))
STORE = "\n".join(path.read_text() for path in sorted((REPO / "server/store").glob("*.c")))
HEADERS = "\n".join(path.read_text() for path in sorted((REPO / "server/store").glob("*.h")))


def role_of(name):
    return {"fleet": "fleet", "schema": "owner"}.get(name.split("_")[0], "serve")


@pytest.mark.parametrize("path", QUERIES, ids=[path.stem for path in QUERIES])
def test_it_prepares_as_its_role(path, fleet_db):
    fleet_db.query(f"PREPARE statement AS {path.read_text()}", role=role_of(path.stem))


@pytest.mark.parametrize("path", QUERIES, ids=[path.stem for path in QUERIES])
def test_it_is_run(path):
    assert f'"{path.stem}"' in STORE, f"no C code runs {path.name}"
    if role_of(path.stem) == "serve":
        assert re.search(rf"\bstore_{path.stem}\(", HEADERS), f"store_{path.stem}() is missing"


def test_c_code_names_no_file_that_is_missing():
    named = set(re.findall(r'store_(?:query|body)\(ctx, pg, "(\w+)"', STORE))
    assert named and named <= {path.stem for path in QUERIES}


def test_each_names_its_tenant_as_well():
    """Row security is the second fence; the first is in the statement."""
    for path in QUERIES:
        text = path.read_text()
        touches = re.search(r"\b(FROM|UPDATE|INTO) (api_)?(registry|operation|idempotency_key)\b", text)
        if role_of(path.stem) == "serve" and touches and path.stem not in ("operation_ended", "idempotency_expire"):
            assert "tenant" in text, path.name
