"""Every secret that exists while a proof runs: value → what it is of. Where we choose the value, it is made here; what the
product makes is read from each version of each Secret, so that what was before a rotation is known as well as what came
after it."""

import base64
import pathlib
import re
import secrets as randomness
import string

from . import pools

# Of the kept Secret and of those that the stack's are: what is secret, and what is not. Others are a failure: a key that
# nobody has thought of is one that nobody looks for.
KEPT = {"password": "database", "redisPassword": "redis", "s3SecretKey": "s3", "coreSecret": "internal",
        "jobserviceSecret": "internal", "registryHttpSecret": "internal", "registryPassword": "htpasswd", "csrfKey": "csrf",
        "secretKey": "secretKey", "tokenKey": "tokenKey", "adminPassword": "admin", "robotSecret": "robot"}  # fmt: skip
NO_SECRETS = {"username": "a name", "s3AccessKey": "a name", "registryHtpasswd": "a hash"}
SECOND = "Other"  # the key of a second value while a rotation is under way


def canary(what):
    """A value of known bytes that says in a hit whose it is."""
    letters = string.ascii_lowercase + string.digits
    return f"canary-{what}-" + "".join(randomness.choice(letters) for _ in range(24))


def lines_of(pem):
    """A private key is known by lines of it that hold nothing of its public half: the first of an EC key, late ones of an
    RSA key."""
    lines = [line for line in pem.splitlines() if "-----" not in line]
    return lines[:1] if len(lines) < 5 else lines[-4:-1]


class Tracked:
    def __init__(self):
        self.kinds = {}  # value → kind
        self.strange = []  # keys of kept Secrets without a row

    def add(self, kind, *values):
        for value in values:
            self.kinds.setdefault(value, kind)
        return values[-1]

    def make(self, kind):
        return self.add(kind, canary(kind))

    def by_kind(self):
        return {kind: [v for v, k in self.kinds.items() if k == kind] for kind in sorted(set(self.kinds.values()))}

    # ---- what is there before the product

    def stack(self, stack):
        """Passwords of the servers' administrators, and the keys in the kubeconfigs."""
        for path in pathlib.Path(stack.directory, "secrets").glob("*.password"):
            fleet = re.match(r"pg-fleet\.flotilla_", path.name)
            self.add("fleet-role" if fleet else "pool-admin", path.read_text(encoding="utf-8").strip())
        self.add("pool-admin", pools.Store(stack.env).secret)
        for name in ("operator", "fleet", "admin"):
            self.add("kubeconfig", *lines_of(pathlib.Path(stack.directory, "pki", f"{name}.key").read_text(encoding="utf-8")))

    def kek_file(self, path):
        """A file of one key, whose 32 bytes are a canary: its base64 is then one of the canary's forms."""
        key = canary("kek").ljust(32, "x")[:32]
        path.write_text(f"kek-1 {base64.b64encode(key.encode()).decode()}\n", encoding="utf-8")
        path.chmod(0o600)
        return self.add("kek", key)

    # ---- what the product makes

    def secret_object(self, item):
        """A version of a Secret of the cluster."""
        meta = item["metadata"]
        if meta["namespace"] == "flotilla-system" and meta["name"].startswith("registry-"):
            for key, value in pools.decoded(item).items():
                self._kept(key.removesuffix(SECOND), value)
        elif "password" in item.get("data", {}) and meta["namespace"] != "flotilla-system":
            self.add("redis" if meta["name"].endswith("-redis") else "admin", pools.decoded(item)["password"])

    def _kept(self, key, value):
        if key not in KEPT and key not in NO_SECRETS:
            self.strange.append(key)
        if key in KEPT:
            self.add(KEPT[key], *(lines_of(value) if "\n" in value else [value]))
