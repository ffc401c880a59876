"""A cell's API server restarts while registries are made, changed and closed; the end is as if nothing had been."""

from .wait import eventually


def settled(world, registries):
    for registry in registries:
        world.wait_phase(registry, "ready", 90)
    eventually(lambda: not world.db.query("SELECT 1 FROM outbox"), 60, what="nothing to publish")
    world.assert_clean_audit(90)


def api_server_restarts(world):
    """While registries are made, changed and closed."""
    made = [world.create(f"first-{number}") for number in range(3)]
    world.stack.kill("kube-apiserver")
    made += [world.create(f"second-{number}") for number in range(2)]
    world.stack.start("kube-apiserver")
    settled(world, made)
    for registry in made:
        world.patch(registry, plan="m")
    world.stack.restart("kube-apiserver")
    settled(world, made)
    for registry in made:
        world.close(registry, 0)
    world.stack.restart("kube-apiserver")
    for registry in made:
        world.wait_gone(registry, 90)
    world.assert_clean_audit(60)
