"""A newly debootstrapped Debian 12 in namespaces of its own: what is mounted and started in it ends with one process.

How its package managers reach their registries is what this machine's own configuration says, copied; its network is this
machine's.
"""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import threading
import time

from . import REPO
from .process import _die_with_parent
from .wait import eventually

SUITE = "bookworm"
PACKAGES = 'source server/dev/lib/common.sh; source server/dev/lib/packages.sh; packages_ensure install "${root_packages[@]}"'
CONFIGURATION = ("/etc/apt/sources.list", "/etc/apt/sources.list.d", "/etc/apt/apt.conf.d", "/etc/apt/auth.conf.d",
                 "/etc/apt/trusted.gpg.d", "/etc/apt/keyrings", "/etc/pip.conf", "/etc/resolv.conf", "/etc/hosts",
                 "/etc/ssl/certs", "/usr/local/share/ca-certificates", "~/.config/pip", "~/.config/go")  # fmt: skip
SETTINGS = re.compile(r"(https?_proxy|no_proxy|SSL_CERT_\w+|CURL_CA_BUNDLE|REQUESTS_CA_BUNDLE|PIP_(CERT|INDEX_URL|EXTRA_INDEX_URL"
                      r"|DEFAULT_TIMEOUT)|GO(PROXY|SUMDB|NOSUMDB|NOSUMCHECK|PRIVATE|INSECURE))", re.IGNORECASE)
SETTINGS_FILE = "root/.settings"

# What each package manager fetches lands here, whatever happens to it later. pip may keep nothing: Go counts as unpacked.
DOWNLOADS = {"apt": ("var/cache/fetched", "var/lib/apt/lists"), "pip, unpacked": ("root/.cache/flotilla/go",),
             "go": ("root/go/pkg/mod/cache/download",)}  # fmt: skip

# Its root is the namespace's own, as who was sent there by chroot() may make no namespaces of his own.
INSIDE = """
mount --bind "$1" "$1"; mount -t proc proc "$1/proc"; mount --rbind /sys "$1/sys"; mount --rbind /dev "$1/dev"
cd "$1"; mkdir before; pivot_root . before; cd /; umount --lazy before; rmdir before; echo ready
while :; do sleep 3600 & wait $!; done
"""


def size_of(*directories):
    total = 0
    for directory in directories:
        for place, _, names in os.walk(directory):
            for name in names:
                try:
                    total += os.lstat(f"{place}/{name}").st_blocks * 512
                except OSError:  # it was moved meanwhile
                    pass
    return total


class FreshRoot:
    def __init__(self, directory):
        self.path = pathlib.Path(directory) / "root"
        self.holder = self.namespace = None

    def make(self):
        subprocess.run(["bash", "-c", PACKAGES], cwd=REPO, capture_output=True, check=True)
        command = ["debootstrap", "--variant=minbase", "--include=ca-certificates,git", SUITE, self.path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"debootstrap: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        for name in CONFIGURATION:
            source = pathlib.Path(name).expanduser()
            target = self.path / ("root" + name[1:] if name[0] == "~" else name[1:])
            if source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                subprocess.run(["cp", "-aT", "--remove-destination", source.resolve(), target], check=True)
        if list((self.path / "etc/apt/sources.list.d").glob("*.sources")):
            (self.path / "etc/apt/sources.list").unlink(missing_ok=True)  # debootstrap's own, beside the same again
        (self.path / "var/cache/fetched/partial").mkdir(parents=True)
        (self.path / "etc/apt/apt.conf.d/zz-fetched").write_text('Dir::Cache::archives "/var/cache/fetched";\n')
        self.keep_settings()

    def keep_settings(self):
        """In a file: an address may hold a password, and a command line can be read by every user of the machine."""
        settings = self.path / SETTINGS_FILE
        settings.touch(mode=0o600)
        settings.write_text("".join(f"export {key}={shlex.quote(value)}\n" for key, value in os.environ.items() if SETTINGS.fullmatch(key)))

    def enter(self):
        """From here on commands can run in it."""
        self.holder = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "bash", "-euc", INSIDE, "init", self.path],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, preexec_fn=_die_with_parent)  # fmt: skip
        assert self.holder.stdout.readline() == "ready\n", "namespaces and mounts for the new root were refused"
        self.namespace = os.readlink(f"/proc/{self._first()}/ns/pid")

    def _first(self):
        children = pathlib.Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children").read_text().split()
        return children[0]

    def command(self, text):
        """What becomes that shell text in it, as root at home."""
        return ["nsenter", "--target", self._first(), "--mount", "--pid", "env", "-i", "HOME=/root",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "TERM=dumb",
                "bash", "-c", f". /{SETTINGS_FILE} && cd && {text}"]  # fmt: skip

    def processes(self):
        """Beside its first and who waits with it."""
        done = subprocess.run(self.command("cat /proc/[0-9]*/comm"), capture_output=True, text=True, check=False)
        return sorted(name for name in done.stdout.split() if name not in ("bash", "sleep", "cat"))

    def fetched(self):
        """Bytes by package manager."""
        return {who: size_of(*(self.path / name for name in names)) for who, names in DOWNLOADS.items()}

    def leave(self):
        """Ends whatever runs in it and takes it away; its mounts were never seen out here."""
        if self.holder:
            self.holder.kill()
            self.holder.wait()
            eventually(lambda: not self._lives(), 30, what="the last process of the new root ends")
        shutil.rmtree(self.path, ignore_errors=True)
        assert not self.path.exists(), f"{self.path} could not be removed"

    def _lives(self):
        for path in pathlib.Path("/proc").glob("[0-9]*/ns/pid"):
            try:
                if os.readlink(path) == self.namespace:
                    return True
            except OSError:
                pass
        return False


class Fetching:
    """Looks at what arrives, and between which seconds."""

    def __init__(self, root, interval_s=0.5):
        self.root, self.interval_s = root, interval_s
        self.started = time.monotonic()
        self.first, self.last, self.bytes = {}, {}, dict.fromkeys(DOWNLOADS, 0)
        self.done = threading.Event()
        self.watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self.bytes = self.root.fetched()
        self.before = dict(self.bytes)
        self.watcher.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.watcher.join()

    def _watch(self):
        while not self.done.wait(self.interval_s):
            self._look()

    def _look(self):
        now = time.monotonic() - self.started
        for who, count in self.root.fetched().items():
            if count != self.bytes[who]:
                self.first.setdefault(who, max(0.0, now - self.interval_s))
                self.last[who], self.bytes[who] = now, count

    def lines(self):
        for who in self.first:
            count = self.bytes[who] - self.before[who]
            yield f"{who:13} {count / 1e6:7.1f} MB fetched between {self.first[who]:5.1f} and {self.last[who]:5.1f} s"
