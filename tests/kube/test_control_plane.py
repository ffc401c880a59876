"""The control plane of server/dev/stack: who gets in."""

import pathlib
import subprocess


def get(url, *options):
    return subprocess.run(["curl", "-sS", "--http1.1", "--fail", "--max-time", "10", *options, url], capture_output=True, text=True, check=False)


def test_etcds_peer_port_takes_certificates_only(stack):
    at = pathlib.Path(stack.directory)
    address = f"127.0.0.1:{(at / 'ports/etcd-peer').read_text().strip()}/members"
    known = ["--cacert", at / "pki/etcd-ca.crt"]
    assert get(f"http://{address}").returncode != 0
    assert get(f"https://{address}", *known).returncode != 0
    peer = get(f"https://{address}", *known, "--cert", at / "pki/etcd.crt", "--key", at / "pki/etcd.key")
    assert peer.returncode == 0 and '"name":"dev"' in peer.stdout, peer.stderr
