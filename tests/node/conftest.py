"""A stack with a real node, its images, and a namespace of its own for each test."""

import functools

import pytest
from harness.node_place import CLIENT, PORTAL, Place
from harness.on_node import make_image


@pytest.fixture(scope="session")
def stack_node():
    return True


@pytest.fixture(scope="session")
def image(stack, tmp_path_factory):
    """image(kind, tag, *programs): makes it and gives it to the node."""
    return functools.partial(make_image, stack, tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def portal_image(image):
    return image("portal", PORTAL)


@pytest.fixture(scope="session")
def client_image(image):
    return image("programs", CLIENT, "/usr/bin/sleep", "/usr/bin/curl", "/usr/bin/cat")


@pytest.fixture
def place(stack, request):
    name = request.node.name.replace("_", "-").removeprefix("test-")[:50]
    yield Place(stack, name)
    stack.kubectl("delete", "namespace", name, "--wait=false")
