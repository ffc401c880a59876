"""Is a secret anywhere in a text? As it is, reversed, in hex, in base64 at each of its three alignments, URL-encoded."""

import base64
import json
import pathlib
import urllib.parse


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
    assert len(secret) >= 16
    found = []
    for where, text in places.items():
        text = text.encode("utf-8", "replace") if isinstance(text, str) else text
        found += [f"{where}: {name}" for name, form in forms(secret).items() if form.encode() in text]
    return found


def files(*directories):
    """{path: bytes} of every file below."""
    return {str(path): path.read_bytes() for directory in directories for path in pathlib.Path(directory).rglob("*")
            if path.is_file()}
