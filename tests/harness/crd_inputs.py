"""tests/kube/crd_inputs.yaml as objects: the same cases for tests/kube and for tests/proofs/spine-input."""

import copy

import yaml

from . import REPO
from .cluster import resource_of

TABLE = yaml.safe_load((REPO / "tests/kube/crd_inputs.yaml").read_text(encoding="utf-8"))
BAD = [case for case in TABLE["cases"] if not case["valid"]]
RESOURCES = {base: resource_of(item["kind"]) for base, item in TABLE["bases"].items()}


def built(base, changes=None):
    """The base with members set; a path to None removes its member."""
    item = copy.deepcopy(TABLE["bases"][base])
    for path, value in (changes or {}).items():
        *parents, last = path.split(".")
        at = item
        for name in parents:
            at = at.setdefault(name, {})
        if value is None:
            at.pop(last, None)
        else:
            at[last] = value
    return item
