#!/usr/bin/python3
"""Writes the pages of docs/ that are printed from the program's own tables. tests/lint/test_docs.py holds them equal.

    tests/harness/update_docs.py            FLOTILLAD names another binary than build/dev/flotillad
"""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from harness import REPO  # noqa: E402
from harness.process import base_env, binary  # noqa: E402

NOTE = "Written by `tests/harness/update_docs.py` from `flotillad do {table}`; `tests/lint` compares. Change the rows in `{source}`."

# page: (table, source, title, what stands before the table, columns)
PAGES = {
    "errors": (
        "errors", "server/base/errors.def", "Errors",
        "The reason is the same word in a problem document (`code`), a condition or event, the log (`reason`) and the metric. A\n"
        "call may give a finer reason than its row; status, retry class and level are the row's. Retry: `never` the input must\n"
        "change; `backoff` later, by itself; `now` at once, after reading again; `event` when something watched changes.\n\n"
        "Finer reasons: [reasons.md](reasons.md). Those of conditions, and what to do about them: [operations.md](operations.md).",
        ("Reason", "HTTP", "Retry", "Log level", "Meaning"),
    ),
    "reasons": (
        "reasons", "server/base/reasons.def", "Finer reasons",
        "Words that a call gives instead of its error's own; HTTP status, retry class and log level are that error's\n"
        "([errors.md](errors.md)). What a PostgreSQL, an object store or a Harbor calls its own refusal is not listed.",
        ("Reason", "Error", "Meaning"),
    ),
    "configuration": (
        "config", "server/config.def", "Configuration",
        "Each row is an option `--name value` after the command, or an environment variable; the option wins. A value out of range\n"
        "is refused at start. No row takes a password: connection strings name a `passfile=`, cells a kubeconfig file.",
        ("Option", "Variable", "Default", "Roles", "Meaning"),
    ),
    "calls": (
        "calls", "server/base/calls.def", "External calls",
        "Every call that leaves a process. `FLOTILLA_FAILPOINTS` arms a point before and after each (`server/base/failpoint.h`), and\n"
        "`tests/prove spine-crash` and `harbor-crash` run through those that their world comes to; `UNREACHED` in\n"
        "`tests/harness/crash_cases.py` names the tests of the others. The name is the label `call` of the metrics.",
        ("Call", "Role", "Why"),
    ),
}


def printed(table):
    done = subprocess.run([binary(), "do", table], env=base_env("/tmp"), capture_output=True, text=True, check=True)
    return done.stdout


def page(name):
    """The whole text of docs/<name>.md as it should be."""
    table, source, title, words, columns = PAGES[name]
    head = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"
    return f"# {title}\n\n{words}\n\n{NOTE.format(table=table, source=source)}\n\n{head}{printed(table)}"


def main():
    for name in PAGES:
        (REPO / f"docs/{name}.md").write_text(page(name), encoding="utf-8")


if __name__ == "__main__":
    main()
