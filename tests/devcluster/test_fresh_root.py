"""The new Debian of tests/proofs/fresh-root: what it is told of package registries."""

import subprocess

from harness.fresh_root import SETTINGS_FILE, FreshRoot

SECRET = "http://who:pass'word@127.0.0.1:1/"


def test_addresses_stand_in_a_private_file(tmp_path, monkeypatch):
    monkeypatch.setenv("https_proxy", SECRET)
    root = FreshRoot(tmp_path)
    settings = root.path / SETTINGS_FILE
    settings.parent.mkdir(parents=True)
    root.keep_settings()
    assert settings.stat().st_mode & 0o777 == 0o600
    read = f"unset https_proxy; . {settings} && printenv https_proxy"
    told = subprocess.run(["bash", "-c", read], capture_output=True, text=True, check=True)
    assert told.stdout == SECRET + "\n"
    with subprocess.Popen(["bash", "-c", "sleep 60 & echo; wait"], stdout=subprocess.PIPE) as root.holder:  # for one that was entered
        root.holder.stdout.readline()
        command = list(map(str, root.command("true")))
        subprocess.run(["kill", root._first()], check=True)
    assert not [word for word in command if "pass" in word] and f". /{SETTINGS_FILE} && cd && true" in command
