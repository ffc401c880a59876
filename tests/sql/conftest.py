"""Databases in every state a migration can find one in."""

import pytest

from harness import database


@pytest.fixture(scope="session")
def stack_without():
    return ("kube", "kwok", "pg-pool", "redis-pool", "s3-pool")


@pytest.fixture
def empty_db(stack):
    """A database that was never migrated."""
    fresh = database.create(stack)
    yield fresh
    database.drop(stack, fresh)
