"""What may happen to a cell while registries are made, changed and closed; the end is as if nothing had been."""

import json
import re

from . import kube_audit, pools, quiet, snapshot
from .proof import CALM
from .wait import eventually
from .world import CELL


def settled(world, registries):
    for registry in registries:
        world.wait_phase(registry, "ready", 90)
    eventually(lambda: not world.db.query("SELECT 1 FROM outbox"), 60, what="nothing to publish")
    world.assert_clean_audit(90)


def through_restarts(world, name, kill, start):
    """Five registries made, changed and closed; [the ends of both]."""
    made, ends = [world.create(f"{name}-{number}") for number in range(3)], []
    kill()
    made += [world.create(f"{name}-{number}") for number in (3, 4)]
    start()
    settled(world, made)
    ends.append(snapshot.take(world))
    for registry in made:
        world.patch(registry, plan="m")
    kill()
    start()
    settled(world, made)
    assert_quiet(world)
    ends.append(snapshot.take(world))
    for registry in made:
        world.close(registry, 0)
    kill()
    start()
    for registry in made:
        world.wait_gone(registry, 90)
    world.assert_clean_audit(60)
    return [json.dumps(end).replace(f"{name}-", "made-") for end in ends]


def api_server_restarts(world):
    """While registries are made, changed and closed; then nobody writes. The ends are those of registries that were left alone."""
    calm = through_restarts(world, "calm", lambda: None, lambda: None)
    hit = through_restarts(world, "hit", lambda: world.stack.kill("kube-apiserver"), lambda: world.stack.start("kube-apiserver"))
    for one, other in zip(calm, hit):
        told = [line for line in snapshot.differences(json.loads(one), json.loads(other)) if "calm-" not in line]
        assert not told, f"another end: {told}"


# ---- a cell that comes back from a backup

# An operator that must go on over it: one that finds no Lease to renew for so long ends, and here nobody starts it again.
PATIENT = {"FLOTILLA_LEASE_DURATION_MS": 120000, "FLOTILLA_LEASE_RENEW_MS": 5000, "FLOTILLA_LEASE_DEADLINE_MS": 90000}
RESTORES = ((False, CALM), (True, PATIENT))  # do fleet and operator go on? And their settings
BEFORE = {"bystander": "ready", "changed": "ready", "closed": "ready", "undone": "closed", "purged": "ready"}  # in the backup
AFTER = {"bystander": "ready", "changed": "ready", "closed": "closed", "undone": "ready", "newer": "ready"}
# Made anew by a person's word, a registry has a generation more, and its row tells why.
MADE_ANEW = ("rows/*/row/generation", "rows/*/row/published", "rows/*/status/observed_generation", "rows/*/actions",
             "registries/*/spec/revision", "registries/*/revision")


def write(world, name, registry):
    """What no restore may lose: it is on the pools."""
    identity = world.db.value("SELECT identity FROM resource WHERE id = %s", registry)
    conninfo = world.credential(identity)
    world.pool_query("CREATE TABLE kept (word text)", conninfo=conninfo)
    world.pool_query("INSERT INTO kept VALUES (%s)", name, conninfo=conninfo)
    pools.Store(world.stack.env).call("PUT", f"/t-{identity}/kept", name.encode())


def written(world, registry):
    identity = world.db.value("SELECT identity FROM resource WHERE id = %s", registry)
    return (world.pool_query("SELECT word FROM kept", conninfo=world.credential(identity))[0][0],
            pools.Store(world.stack.env).call("GET", f"/t-{identity}/kept"))


def before_backup(world):
    registries = {name: world.create(name) for name in BEFORE}
    for registry in registries.values():
        world.wait_phase(registry, "ready", 90)
    world.close(registries["undone"])
    world.wait_phase(registries["undone"], "closed", 90)
    world.assert_clean_audit(60)
    return registries


def history(world, registries):
    """What the backup does not know."""
    world.patch(registries["changed"], plan="m")
    world.close(registries["closed"])
    world.undo(registries["undone"])
    world.close(registries["purged"], 0)
    registries["newer"] = world.create("newer")
    for name, phase in AFTER.items():
        world.wait_phase(registries[name], phase, 90)
    world.wait_gone(registries.pop("purged"), 90)
    write(world, "newer", registries["newer"])
    eventually(lambda: not world.db.query("SELECT 1 FROM sealed_secret WHERE shredded_at IS NULL"), 60, what="passwords handed over")
    world.assert_clean_audit(60)


def made_outside(world):
    """Databases and roles by oid."""
    return {what: made for what, made in snapshot.existence(world).items() if what.startswith(("Database", "Role"))}


def resolve(world, registry):
    """What the cell has forgotten waits for a person's word, and does not come back without."""
    eventually(lambda: world.db.value("SELECT state FROM resource WHERE id = %s", registry) == "diverged", 90, what="newer Diverged")
    alone = world.run("audit", "--resolve", registry, "--take", "row", check=False)
    assert alone.returncode == 1 and "RegistryPurged" in alone.stderr, alone.stderr
    world.run("audit", "--resolve", CELL, "--take", "row")
    again = world.run("audit", "--resolve", CELL, "--take", "row", check=False)
    assert again.returncode == 1 and "NotDiverged" in again.stderr, again.stderr


def other_ends(wanted, found):
    """Differences, but for those of what was made anew."""
    new = [re.compile("^/" + re.escape(place).replace("\\*", "[^:]*newer[^:]*")) for place in MADE_ANEW]
    return [line for line in snapshot.differences(wanted, found) if not any(place.match(line) for place in new)]


def assert_quiet(world):
    watch = quiet.Watch(world)

    def look():
        rows, requests, _ = watch.look()
        wrote = [f"{r.user} {r.verb} {r.resource} {r.namespace}/{r.name}" for r in requests if not kube_audit.is_lease(r)]
        wrote += [f"{count} rows of {table}" for table, count in rows.items() if table != "fleet.cell_lease"]
        assert not wrote, f"not quiet: {wrote}"
        return True

    eventually(look, 60, 0, "quiet")


def assert_noticed(world, roles):
    for role in roles:
        process = world.running[role]
        process.wait_log(lambda line: line.get("msg", "").startswith("HistorySetBack"), 60)


def etcd_restored(world, running=False):
    """From a snapshot that is older than what fleet and operator know and did; `running`: they go on over it."""
    registries = before_backup(world)
    backup = f"{world.directory}/etcd.backup"
    world.stack.back_up_etcd(backup)
    history(world, registries)
    wanted, outside = snapshot.take(world), made_outside(world)
    roles = ("fleet", "operate")
    for role in () if running else roles:
        world.stop(role)
    world.stack.restore_etcd(backup)
    if running:
        assert_noticed(world, roles)
    for role in () if running else roles:
        world.start(role)
    resolve(world, registries["newer"])
    for name, phase in AFTER.items():
        world.wait_phase(registries[name], phase, 120)
    settled(world, [])
    assert written(world, registries["newer"]) == ("newer", "newer")
    assert made_outside(world) == outside, "databases and roles are those of before"

    def ends_alike():  # a namespace takes a while to go
        other = other_ends(wanted, snapshot.take(world))
        assert not other, f"another end: {other}"
        return True

    eventually(ends_alike, 60, 1)
    assert_quiet(world)
    for registry in registries.values():
        world.close(registry, 0)
    for registry in registries.values():
        world.wait_gone(registry, 90)
    world.assert_clean_audit(60)
