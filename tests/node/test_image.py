"""server/dev/node/image: what lands in an archive, and what is refused by name. No node is needed for it."""

import json
import os
import shutil
import subprocess
import tarfile

import pytest
from harness import REPO

IMAGE = REPO / "server/dev/node/image"


def make(*args, **env):
    return subprocess.run([IMAGE, *map(str, args)], capture_output=True, text=True, check=False, env={**os.environ, **env})


def opened(tar):
    """(manifest, configuration, {path: entry} of the layer)"""
    with tarfile.open(tar) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))[0]
        config = json.load(archive.extractfile(manifest["Config"]))
        with tarfile.open(fileobj=archive.extractfile("layer.tar")) as layer:
            return manifest, config, {entry.name.removeprefix("./"): entry for entry in layer}


def test_the_same_files_make_the_same_bytes(tmp_path):
    tars = [tmp_path / "one.tar", tmp_path / "two.tar"]
    for tar in tars:
        assert make("portal", "goharbor/harbor-portal:v2.15.3,example/portal:1", tar).returncode == 0
    assert tars[0].read_bytes() == tars[1].read_bytes()
    manifest, config, files = opened(tars[0])
    assert manifest["RepoTags"] == ["goharbor/harbor-portal:v2.15.3", "example/portal:1"]
    assert config["config"]["User"] == "10000:10000" and files["home/harbor"].uid == 10000
    assert "usr/sbin/nginx" in files and any(name.startswith("usr/lib/") and "libpcre2" in name for name in files)


def test_harbors_own_programs(tmp_path):
    """Laid out as Harbor's image has them; any program will do to see that."""
    folder = tmp_path / "2.15.3"
    for name in ("migrations/postgresql", "views", "icons"):
        (folder / name).mkdir(parents=True)
    (folder / "migrations/postgresql/0001_initial.up.sql").touch()
    for name in ("harbor_core", "harbor_jobservice", "harbor_registryctl"):
        shutil.copy("/usr/bin/true", folder / name)
    commands = {
        "core": ["/harbor/harbor_core"],
        "jobservice": ["/harbor/harbor_jobservice", "-c", "/etc/jobservice/config.yml"],
        "registryctl": ["/home/harbor/harbor_registryctl", "-c", "/etc/registryctl/config.yml"],
    }
    for kind, command in commands.items():
        done = make(kind, f"goharbor/harbor-{kind}:v2.15.3", tmp_path / "out.tar", FLOTILLA_HARBOR_BIN=str(tmp_path))
        assert done.returncode == 0, done.stderr
        _, config, files = opened(tmp_path / "out.tar")
        assert config["config"]["Entrypoint"] == command and command[0][1:] in files
        if kind == "core":
            assert config["config"]["WorkingDir"] == "/harbor"
            assert "harbor/migrations/postgresql/0001_initial.up.sql" in files and "harbor/views" in files


def test_what_cannot_be_made_is_told_by_the_names_of_leave_out(tmp_path):
    """One version's binaries say nothing about another's."""
    (tmp_path / "2.15.3").mkdir()
    for name in ("harbor_core", "harbor_registryctl"):
        shutil.copy("/usr/bin/true", tmp_path / "2.15.3" / name)
    told = {version: make("--lacking", version, FLOTILLA_HARBOR_BIN=str(tmp_path)).stdout.split() for version in ("2.15.3", "2.14.4")}
    assert told == {"2.15.3": ["trivy", "jobservice", "exporter"],
                    "2.14.4": ["trivy", "core", "jobservice", "registryctl", "exporter"]}  # fmt: skip


@pytest.mark.parametrize("args,complaint", [
    (("core", "goharbor/harbor-core:v2.15.3"), "error: NeedsHarborBin: $FLOTILLA_HARBOR_BIN/2.15.3/harbor_core is missing"),
    (("programs", "example/none:1"), "error: NeedsProgram: /usr/bin/not-there is missing"),
    (("boat", "example/boat:1"), "error: usage: image"),
])  # fmt: skip
def test_what_is_missing_has_a_name(tmp_path, args, complaint):
    done = make(*args, tmp_path / "out.tar", "/usr/bin/not-there", FLOTILLA_HARBOR_BIN=str(tmp_path))
    assert done.returncode == 1 and done.stderr.startswith(complaint) and os.listdir(tmp_path) == []
