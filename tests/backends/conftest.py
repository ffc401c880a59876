"""Of the private servers only Redis; the C programs start their own."""

import pytest


@pytest.fixture(scope="session")
def stack_without():
    return ("kube", "kwok", "pg-fleet", "pg-pool", "s3-pool")
