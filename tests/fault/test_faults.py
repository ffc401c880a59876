"""A tenth of tests/proofs/fresh-fault: on the embedded cluster every kind of fault and every client, and a life behind
proxies before the real API server. FAULT_SEED takes another tenth."""

import os
import shutil
import tempfile

import pytest
from harness import fault, fault_cases
from harness.cluster import Cluster
from harness.devcluster import DevStack
from harness.faultproxy import Table
from harness.proof import CALM
from harness.world import World

SEED = os.environ.get("FAULT_SEED", "1")
SAMPLE = 30
FIRED_MIN = 0.8  # one undisturbed life is not what all have in common


def run(proof, choose, undisturbed=1):
    """({case: what is wrong with it}, how many fired, of how many)"""
    proof.begin()
    proof.record(undisturbed)
    wrong, fired = {}, []
    chosen = choose(proof.cases())

    def report(aim, error):
        if error in (fault.NOT_MET, fault.NO_OTHER):
            print(f"{aim.case.name} in {aim.stage}, call {aim.nth}: {error}")
            return
        (wrong.update({aim.case.name: error}) if error else fired.append(aim))

    proof.run_all(fault_cases.Waiting(chosen, proof.met, SEED), report)
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
    wrong, fired, chosen = run(proof, lambda of: fault_cases.tenth(of, SEED))
    assert not wrong and fired >= FIRED_MIN * chosen > 20


def test_before_a_real_api_server(stack, tmp_path):
    with fault.proxied(stack, tmp_path) as (servers, tables):
        proof = fault.Proof(World(servers, tmp_path, CALM), tables)
        wrong, fired, chosen = run(proof, lambda of: fault_cases.sample(of, SAMPLE, SEED), undisturbed=2)
    assert not wrong and fired >= FIRED_MIN * chosen > 20
