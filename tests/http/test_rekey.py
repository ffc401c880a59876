"""flotillad rekey: every wrapped key under the newest one, whatever happens on the way."""

import os
import re
import subprocess
import threading

import pytest

from harness.process import base_env, binary

NEW = "kek-2 " + "C" * 42 + "0=\n"


class Keys:
    """A database with sealed secrets under kek-1, and key files."""

    def __init__(self, fresh, directory):
        self.database, self.directory = fresh, directory
        self.old = open(fresh.kek_file, encoding="utf-8").read()

    def file(self, *keys):
        path = self.directory / "kek"
        path.write_text("".join(keys))
        path.chmod(0o600)
        return str(path)

    def rekey(self, *keys, **env):
        """(exit status, {key: count}, rewrapped, log)"""
        done = subprocess.run([binary(), "rekey"], capture_output=True, text=True, check=False, timeout=120, env={
            **base_env(self.directory), **self.database.env(), "FLOTILLA_KEK_FILE": self.file(*keys), **env})
        counts = {key: int(count) for key, count in re.findall(r"^key (\S+) wraps (\d+)", done.stdout, re.M)}
        rewrapped = re.search(r"^rewrapped (\d+)$", done.stdout, re.M)
        return done.returncode, counts, int(rewrapped[1]) if rewrapped else None, done.stderr

    def counts(self):
        return dict(self.database.query("SELECT kek_id, count(*) FROM sealed_secret WHERE shredded_at IS NULL GROUP BY 1"))

    def texts(self):
        return self.database.query("SELECT id, sealed::text FROM sealed_secret ORDER BY id")


@pytest.fixture
def keys(service, tenant, tmp_path):
    """Five secrets under kek-1, and no other."""
    service.database.query("DELETE FROM sealed_secret")
    for _ in range(5):
        tenant.create()
    return Keys(service.database, tmp_path)


def multiply(keys, count):
    """So many rows: of what is authenticated only the rows that were really sealed open."""
    keys.database.query(
        "INSERT INTO sealed_secret (id, tenant_id, owner_kind, owner_id, purpose, kek_id, wrapped_dek, sealed)"
        " SELECT 'sec_' || lpad(n::text, 26, '0'), tenant_id, owner_kind, 'reg_' || n, purpose, kek_id, wrapped_dek, sealed"
        " FROM (SELECT * FROM sealed_secret LIMIT 1) AS one, generate_series(1, %s) AS n", count)


def test_all_move_and_the_secrets_stay_as_they_are(keys):
    before = keys.texts()
    assert keys.rekey(NEW, keys.old)[:3] == (0, {"kek-2": 5, "kek-1": 0}, 5)
    assert keys.counts() == {"kek-2": 5} and keys.texts() == before
    assert keys.rekey(NEW)[:3] == (0, {"kek-2": 5}, 0), "nothing is left to do, and the old key is not needed"
    assert keys.rekey(keys.old, NEW)[:3] == (0, {"kek-1": 5, "kek-2": 0}, 5), "and back"


def test_a_key_that_the_file_lacks_is_named(keys):
    status, counts, rewrapped, _ = keys.rekey(NEW)
    assert (status, counts, rewrapped) == (3, {"kek-2": 0, "kek-1": 5}, 0)
    assert keys.counts() == {"kek-1": 5}


def test_the_wrong_key_of_the_right_name_changes_nothing(keys):
    wrong = "kek-1 " + "D" * 42 + "0=\n"
    status, counts, rewrapped, log = keys.rekey(NEW, wrong)
    assert (status, counts, rewrapped) == (3, {"kek-2": 0, "kek-1": 5}, 0)
    assert log.count('"SealBroken"') == 5


def test_what_was_shredded_is_left_alone(keys):
    keys.database.query("UPDATE sealed_secret SET kek_id = NULL, wrapped_dek = NULL, sealed = NULL, shredded_at = now()"
                        " WHERE id = (SELECT min(id) FROM sealed_secret)", role="fleet")
    assert keys.rekey(NEW, keys.old)[:3] == (0, {"kek-2": 4, "kek-1": 0}, 4)


def test_a_row_that_does_not_open_holds_up_no_other(keys):
    multiply(keys, 450)  # three batches of rows whose label is not the one they were sealed with
    assert keys.rekey(NEW, keys.old)[:3] == (3, {"kek-2": 5, "kek-1": 450}, 5)


@pytest.mark.parametrize("point", ["rekey.read", "rekey.write", "rekey.count"])
@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("action", ["kill", "error"])
def test_it_may_die_anywhere_and_be_run_again(keys, tmp_path, point, side, action):
    marks = tmp_path / "marks"
    marks.mkdir()
    status = keys.rekey(NEW, keys.old, FLOTILLA_FAILPOINTS=f"{point}.{side}={action}", FLOTILLA_FAILPOINT_DIR=str(marks))[0]
    assert status == (-9 if action == "kill" else 1) and os.path.exists(marks / f"fired.{point}.{side}")
    assert sum(keys.counts().values()) == 5
    assert keys.rekey(NEW, keys.old)[:2] == (0, {"kek-2": 5, "kek-1": 0})


def test_beside_a_server_and_beside_itself(keys, tenant):
    """A server with the old order of keys goes on sealing with the old one; what it made is counted and moved next time."""
    results, path = [], keys.file(NEW, keys.old)

    def run():
        env = {**base_env(keys.directory), **keys.database.env(), "FLOTILLA_KEK_FILE": path}
        results.append(subprocess.run([binary(), "rekey"], env=env, capture_output=True, text=True, check=False, timeout=120))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    made = [tenant.create().json["id"] for _ in range(20)]
    for thread in threads:
        thread.join()
    assert all(result.returncode in (0, 3) for result in results), [result.stderr for result in results]
    assert keys.rekey(NEW, keys.old)[:2] == (0, {"kek-2": 25, "kek-1": 0})
    assert len(set(made)) == 20


def test_usage(keys):
    assert keys.rekey(NEW, FLOTILLA_DATABASE_FLEET="")[0] == 2
    assert keys.rekey("# no key\n")[0] == 2
