"""A stack with a real node, its images, and a namespace of its own for each test."""

import pathlib
import subprocess
import sys

import pytest
from harness import REPO

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from node_place import CLIENT, PORTAL, Place  # noqa: E402

IMAGE = REPO / "server/dev/node/image"


@pytest.fixture(scope="session")
def stack_node():
    return True


@pytest.fixture(scope="session")
def image(stack, tmp_path_factory):
    """image(kind, tag, *programs): makes it and gives it to the node."""
    directory = tmp_path_factory.mktemp("images")

    def make(kind, tag, *programs):
        tar = directory / f"{kind}-{tag.replace('/', '_')}.tar"
        subprocess.run([IMAGE, kind, tag, tar, *programs], check=True)
        stack.load(str(tar))
        return tag

    return make


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
