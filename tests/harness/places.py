"""Where secrets must not be, and the few places where one kind of them has to be, each with its reason.

A place is a list of files and directories. tests/proofs/harbor-canary fills them, Search looks: what it finds must stand in
ALLOWED, and what stands in ALLOWED must be found, or the row is no longer true.
"""

import collections
import contextlib
import os
import pathlib
import stat
import uuid

from . import canary

REGISTRY = ("database", "redis", "s3", "htpasswd", "internal", "csrf", "secretKey", "tokenKey", "admin", "robot")

ALLOWED = {
    **{(kind, "etcd"): "Secrets are kept there; to encrypt them at rest is an option of the cluster's" for kind in (*REGISTRY, "pool-admin")},
    ("api-key", "HTTP answers"): "the answer to the POST that made it, and no other",
    ("admin", "HTTP answers"): "the answer to the POST that made the registry, and no other",
    ("client-name", "HTTP answers"): "who writes a secret into a path, or as the name of a member or a parameter, is told that name",
    ("conninfo", "command lines, environments"): "a password in a connection string, which the documents forbid; the test's own doing",
    ("s3", "object store's accounts"): "the gateway's own file: a signature cannot be checked by a hash",
}
SHOWN_ONCE = {(kind, "HTTP answers") for kind in ("api-key", "admin")}

Place = collections.namedtuple("Place", "name paths")
Finding = collections.namedtuple("Finding", "kind place secret form path")


def of_servers(stack):
    """What the stack's servers have written."""
    below = pathlib.Path(stack.directory)
    postgres = pathlib.Path((below / "pg-home").read_text(encoding="utf-8").strip())
    log, redis = below / "log", below / "redis/redis-pool"
    own = ("pg-fleet", "pg-pool", "redis-pool", "s3-pool", "audit")
    places = [
        Place("etcd", [below / "etcd"]),
        Place("API server's audit log", list(log.glob("audit*.log"))),
        Place("log of Redis", [log / "redis-pool.log"]),
        Place("append-only file of Redis", [redis / "appendonlydir"]),
        Place("ACL file of Redis", [redis / "users.acl"]),
        Place("log of the object store", [log / "s3-pool.log"]),
        Place("object store's accounts", [below / "s3/iam"]),
        Place("buckets, dumps among them", [below / "s3/data", below / "s3/meta"]),
        Place("logs of the other servers", [path for path in log.iterdir() if path.name.split(".")[0] not in own]),
    ]
    for name in ("pg-fleet", "pg-pool"):
        data = postgres / name
        places += [Place(f"log of {name}", [log / f"{name}.log"]), Place(f"WAL of {name}", [data / "pg_wal"]),
                   Place(f"files of {name}", [data / "base", data / "global"])]  # fmt: skip
    return places


def _heads(paths):
    """(bytes, the first of them) of each file at or below these paths. One that goes meanwhile has none."""
    for path in paths:
        below = (os.path.join(at, name) for at, _, names in os.walk(path) for name in names)
        for file in [path] if path.is_file() else below:
            with contextlib.suppress(FileNotFoundError):
                status = os.stat(file) if file is path else os.lstat(file)
                if stat.S_ISREG(status.st_mode):
                    with open(file, "rb") as opened:
                        yield status.st_size, opened.read(4000)


class Search:
    """Looks for all that is tracked, and proves at each place that it would have found it."""

    def __init__(self, tracked, directory):
        self.tracked, self.directory = tracked, pathlib.Path(directory)
        self.planted = f'planted/+"%{uuid.uuid4().hex}'  # each of its forms differs from the others
        self.findings, self.bytes = set(), collections.Counter()

    def look(self, places):
        """Now: what they hold may be gone by the next time."""
        needles = canary.Needles([self.planted, *self.tracked.kinds])
        for place in places:
            self._look(place, needles)

    def _look(self, place, needles):
        paths = [path for path in place.paths if path.exists()]
        heads = list(_heads(paths))
        text = next((text for _, text in heads if text), None)
        assert text, f"{place.name}: nothing is there"
        planted = self._plant(text)
        hits = needles.hits([*paths, planted])
        sung = {form for path, secret, form in hits if secret == self.planted and path == str(planted)}
        assert sung == set(canary.forms(self.planted)), f"{place.name}: planted and not found: {set(canary.forms(self.planted)) - sung}"
        self.findings |= {Finding(self.tracked.kinds[secret], place.name, secret, form, path) for path, secret, form in hits
                          if secret != self.planted}  # fmt: skip
        self.bytes[place.name] += sum(size for size, _ in heads)

    def _plant(self, text):
        """A piece of the place's own text, with each form in it."""
        planted = self.directory / "planted"
        planted.write_bytes(b"".join(text[:2000] + form.encode() + text[2000:] for form in canary.forms(self.planted).values()))
        return planted

    # ---- what was found

    def wrong(self):
        """[what must not be so]"""
        found = {(finding.kind, finding.place) for finding in self.findings}
        wrong = [f"{f.kind} in {f.place} as {f.form}: {f.path}" for f in self.findings if (f.kind, f.place) not in ALLOWED]
        wrong += [f"{kind} is allowed in {place} and was not there" for kind, place in ALLOWED if (kind, place) not in found]
        answers = collections.defaultdict(set)
        for finding in self.findings:
            answers[finding.kind, finding.place, finding.secret].add(finding.path)
        wrong += [f"{kind} in {len(paths)} {place}: {sorted(paths)[:5]}" for (kind, place, _), paths in answers.items()
                  if (kind, place) in SHOWN_ONCE and len(paths) > 1]  # fmt: skip
        return sorted(wrong)

    def table(self):
        """Lines: place, bytes, what had to be there."""
        found = {place: sorted({f.kind for f in self.findings if f.place == place}) for place in self.bytes}
        return [f"{place:32} {size / 1e6:9.2f} MB  {', '.join(found[place]) or 'none'}" for place, size in self.bytes.items()]
