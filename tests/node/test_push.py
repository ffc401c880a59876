"""A registry as it is rendered, on the node: it takes a push and gives a pull. The short form of tests/proofs/harbor-push."""

import pytest
from harness import pushing
from harness.on_node import OLD, OnNode


@pytest.fixture
def registry(stack, tmp_path):
    node = OnNode(stack, tmp_path)
    node.make_pools()
    node.make_images(OLD)
    with node.operating():
        made = node.registry("push", "alpha")
        try:
            yield made.ready()
        finally:
            made.delete()


def test_the_rendered_registry_takes_a_push_and_gives_a_pull(registry, tmp_path):
    assert len(pushing.as_rendered(registry)) == 3
    assert pushing.has_key(registry).startswith(f"t-{registry.id}")
    assert pushing.pushes_and_pulls(registry, tmp_path)
    message = next(c["message"] for c in registry.get()["status"]["conditions"] if c["type"] == "Ready")
    assert registry.condition() == ("True", "ReadyInPart") and message.endswith(": " + " ".join(registry.node.left_out))
