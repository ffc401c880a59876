"""Is a secret anywhere in a text? As it is, reversed, in hex, in base64 at each of its three alignments, URL-encoded."""

import base64
import json
import os
import pathlib
import subprocess
import tempfile
import urllib.parse

SHORTEST = 16  # what is shorter cannot be told from chance


def forms(secret):
    """{name: what to look for}; base64 without the characters at its ends that depend on what stands around it."""
    raw = secret.encode()
    found = {"raw": secret, "reversed": secret[::-1], "hex": raw.hex(), "HEX": raw.hex().upper(),
             "bytea": r"\x" + raw.hex(), "url": urllib.parse.quote(secret, safe=""),
             "url, all of it": "".join(f"%{byte:02X}" for byte in raw), "json": json.dumps(secret)[1:-1],
             "utf-16": "\0".join(secret)}
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + raw).decode().rstrip("=")
        found[f"base64 +{shift}"] = text[0 if shift == 0 else shift + 1:-1]
    return found


def hits(secret, places):
    """["where: in which form"]; places: {where: text or bytes}. A secret that is too short to be told from chance fails."""
    assert len(secret) >= SHORTEST
    found = []
    for where, text in places.items():
        text = text.encode("utf-8", "replace") if isinstance(text, str) else text
        found += [f"{where}: {name}" for name, form in forms(secret).items() if form.encode() in text]
    return found


def files(*directories):
    """{path: bytes} of every file below."""
    return {str(path): path.read_bytes() for directory in directories for path in pathlib.Path(directory).rglob("*")
            if path.is_file()}


class Needles:
    """Many secrets looked for in many files at once, by grep: a hundred megabytes take a second, however many they are."""

    def __init__(self, secrets):
        self.of = {}  # bytes → (secret, form)
        for secret in secrets:
            assert len(secret) >= SHORTEST and "\n" not in secret, "too short, or of several lines"
            for name, form in forms(secret).items():
                self.of.setdefault(form.encode(), (secret, name))

    def hits(self, paths):
        """{(path, secret, form)} of files and of what is below directories. Files that go meanwhile are no failure."""
        with tempfile.NamedTemporaryFile() as patterns:
            patterns.write(b"\n".join(self.of))
            patterns.flush()
            done = subprocess.run(["grep", "-raosFZH", "-f", patterns.name, "--", *map(str, paths)], capture_output=True,
                                  env={"LC_ALL": "C", "PATH": os.environ["PATH"]}, check=False)  # fmt: skip
        assert not done.stderr, done.stderr[:1000]
        return set(self._parsed(done.stdout))

    def _parsed(self, output):
        """Lines "path NUL form"; no form holds a newline."""
        for line in output.split(b"\n")[:-1]:
            path, _, found = line.partition(b"\0")
            yield (path.decode(), *self.of[found])
