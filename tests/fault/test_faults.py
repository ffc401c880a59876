"""A tenth of tests/proofs/fresh-fault: on the embedded cluster every kind of fault and every client, and a life behind
proxies before the real API server. FAULT_SEED takes another tenth."""

import os
import shutil
import tempfile

import pytest
from harness import crash_life, fault, fault_cases
from harness.cluster import Cluster
from harness.devcluster import DevStack
from harness.fault_lives import NginxLife
from harness.faultproxy import Table
from harness.proof import CALM
from harness.world import World

SEED = os.environ.get("FAULT_SEED", "1")
SAMPLE = 30
FIRED_MIN = 0.8  # one undisturbed life is not what all have in common


def run(proof, choose, undisturbed=1):
    """({case: what is wrong with it}, how many fired, of how many). `choose(cases, seed)`: some of them. Where too few were met again
    others stand in for them, for no more than half."""
    proof.begin()
    proof.record(undisturbed)
    wrong, fired = {}, []
    chosen, others = (choose(proof.cases(), str(int(SEED) + later)) for later in (0, 1))

    def report(aim, error):
        if error in (fault.NOT_MET, fault.NO_OTHER):
            print(f"{aim.case.name} in {aim.stage}, call {aim.nth}: {error}")
            return
        (wrong.update({aim.case.name: error}) if error else fired.append(aim))

    proof.run_all(fault_cases.Waiting(chosen, proof.met, SEED), report)
    if len(fired) < FIRED_MIN * len(chosen) and not wrong:  # on a busy machine less is met again: others stand in
        assert len(fired) >= len(chosen) / 2, f"{len(fired)} of {len(chosen)} were met again"
        stand_in = [case for case in others if case not in chosen][:2 * (len(chosen) - len(fired))]
        proof.run_all(fault_cases.Waiting(stand_in, proof.met, SEED), report)
    proof.end()
    return wrong, len(fired), len(chosen)


@pytest.fixture
def embedded():
    directory = tempfile.mkdtemp(prefix="stack-", dir=os.environ.get("FLOTILLA_TEST_DIR"))
    os.chmod(directory, 0o755)
    servers = DevStack(directory)
    try:
        yield servers.up()
    finally:
        servers.down()
        shutil.rmtree(directory, ignore_errors=True)


def test_the_end_is_the_same(embedded, tmp_path):
    proof = fault.Proof(World(embedded, tmp_path, CALM), [Table(Cluster(embedded).connect)])
    wrong, fired, chosen = run(proof, fault_cases.tenth)
    assert not wrong and fired >= FIRED_MIN * chosen > 20


class Spoilt(fault.Proof):
    """In the life of the OvhNginx somebody does `spoil[1]` in the place of the step `spoil[0]`."""

    spoil = None

    def scenario(self, *args, **kwargs):
        made = super().scenario(*args, **kwargs)
        if self.spoil:
            setattr(made.lives["nginx"], self.spoil[0], lambda: self.spoil[1](made.lives["nginx"]))
        return made


def other_spec(life):
    life.spec(4, 8080)


def something_left(life):
    NginxLife.purge(life)
    life.cluster.apply("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns-crash-left"}})


def test_a_life_that_is_spoilt_is_told(embedded, tmp_path, monkeypatch):
    """Nobody would miss an oracle that finds nothing."""
    proof = Spoilt(World(embedded, tmp_path, CALM), [Table(Cluster(embedded).connect)])
    proof.begin()
    proof.record(1)
    case, said = next(case for case in proof.cases() if case.name == "operate watch ovhnginxes=503"), []
    for proof.spoil in (("change", other_spec), ("purge", something_left), None):
        if proof.spoil:
            monkeypatch.setattr(crash_life, "STAGE_SECONDS", 20)  # it is waited for in vain
        else:
            monkeypatch.undo()
        proof.run_all(fault_cases.Waiting([case], proof.met, SEED), lambda aim, error: said.append((aim.case, error)))
    proof.end()
    assert [told for told, _ in said] == [case] * 3 and "not as undisturbed" in said[0][1] and "ns-crash-left" in said[1][1]
    assert said[2][1] is None


def test_before_a_real_api_server(stack, tmp_path):
    with fault.proxied(stack, tmp_path) as (servers, tables):
        proof = fault.Proof(World(servers, tmp_path, CALM), tables)
        wrong, fired, chosen = run(proof, lambda of, seed: fault_cases.sample(of, SAMPLE, seed), undisturbed=2)
    assert not wrong and fired >= FIRED_MIN * chosen > 20
