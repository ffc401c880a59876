"""The rules, applied to every file of the tree (tracked, or new and not ignored)."""

import concurrent.futures
import functools
import os
import pathlib
import subprocess

import pytest
import rules

REPO = pathlib.Path(__file__).resolve().parents[2]

# Why not: the libraries of server/dev are sourced by computed names, and share their variables that way.
SHELLCHECK_OFF = "SC1090,SC1091,SC2034,SC2154,SC2174"


@functools.cache
def files():
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={REPO}", "ls-files", "-co", "--exclude-standard"],
        cwd=REPO, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    return [name for name in listed if (REPO / name).is_file()]


@functools.cache
def text_of(name):
    return (REPO / name).read_text(encoding="utf-8", errors="replace")


def sources():
    return [name for name in files() if name.endswith((".c", ".h"))]


def shell_files():
    def is_shell(name):
        first = text_of(name)[:40]
        return first.startswith(("#!/bin/bash", "#!/bin/sh")) or "shellcheck shell=" in first

    return [name for name in files() if name.endswith(".sh") or "." not in name.rsplit("/", 1)[-1] and is_shell(name)]


def complaints(rule, names):
    return [found for name in names for found in rule(name, text_of(name))]


@pytest.mark.parametrize("rule", rules.C_RULES, ids=lambda rule: rule.__name__)
def test_c_sources(rule):
    assert not complaints(rule, sources())


def test_readmes_are_short():
    assert not complaints(rules.readme_length, [name for name in files() if name.endswith("/README.md")])


def test_shell_files_are_short():
    assert not complaints(rules.lengths, [name for name in files() if name.endswith(".sh")])


def test_every_source_folder_has_a_readme():
    kinds = (".c", ".h", ".sql", ".py", ".yaml")
    mirrors = ("tests/unit/", "tests/golden/", "tests/fuzz/")  # they follow the sources' folders, or hold cases only
    folders = {name.rsplit("/", 1)[0] for name in files() if name.endswith(kinds) and "/" in name}
    wanted = {folder for folder in folders if not folder.startswith(mirrors) and not folder.startswith("tests/tools/")}
    leaves = ("/examples", "/manifests", "/rbac", "/templates", "/cases")  # explained where they are used
    wanted = {folder for folder in wanted if not folder.endswith(leaves) and "/manifests/" not in folder}
    missing = [folder for folder in sorted(wanted) if f"{folder}/README.md" not in files()]
    assert not missing


def test_json_is_data_not_c():
    # What is JSON there is the objects that others put into it.
    names = [name for name in sources() if not name.startswith(("tests/", "server/base/json", rules.DEVCLUSTER))]
    counts = {name: rules.json_calls(text_of(name)) for name in names}
    worst = sorted(counts.items(), key=lambda item: -item[1])[:5]
    assert sum(counts.values()) <= rules.JSON_CALLS_MAX, f"{sum(counts.values())} calls; most in {worst}"


def test_devcluster_stays_small():
    names = [name for name in sources() if name.startswith(rules.DEVCLUSTER)]
    counts = {name: rules.code_lines(text_of(name)) for name in names}
    assert 0 < sum(counts.values()) <= rules.DEVCLUSTER_LINES_MAX, counts


def run_tool(*command):
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


def test_clang_format():
    run_tool("clang-format-14", "--dry-run", "-Werror", "--style=file", *sources())


def clang_tidy(name):
    done = subprocess.run(
        ["clang-tidy-14", "-p", "build/dev", "--quiet", name], cwd=REPO, capture_output=True, text=True, check=False
    )
    found = [line for line in done.stdout.splitlines() if ": error:" in line or ": warning:" in line]
    return found or ([f"{name}: {done.stderr[-300:]}"] if done.returncode else [])


def test_clang_tidy():
    """Reads build/dev/compile_commands.json, which tests/run has just made."""
    names = [name for name in sources() if name.endswith(".c") and not name.startswith("tests/")]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        assert not [line for lines in pool.map(clang_tidy, names) for line in lines]


def test_shellcheck():
    run_tool("shellcheck", "-x", "-e", SHELLCHECK_OFF, *shell_files())
