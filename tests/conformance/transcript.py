"""Sends a case to a server, and tells where two transcripts differ after the masks."""

import fnmatch
import json
import pathlib
import re
import urllib.parse

import yaml
from harness.wait import eventually

HERE = pathlib.Path(__file__).parent
TYPES = {None: "application/json", "merge": "application/merge-patch+json", "json": "application/json-patch+json",
         "strategic": "application/strategic-merge-patch+json", "apply": "application/apply-patch+yaml"}
FORMS = {None: "application/json", "table": "application/json;as=Table;v=v1;g=meta.k8s.io",
         "metadata": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
         "metadata list": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
         "aggregated": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
NAMES = {"items": "metadata.name", "groups": "name"}  # of lists of groups
CASES = sorted((HERE / "cases").glob("*.yaml"))
MASKS = yaml.safe_load((HERE / "masks.yaml").read_text(encoding="utf-8"))
WATCH_S = 1


def steps(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def filled(value, known):
    """The value with <name> replaced wherever it stands."""
    text = json.dumps(value)
    for name, word in known.items():
        text = text.replace(f"<{name}>", word)
    return json.loads(text)


def at(item, path):
    for part in path.split("."):
        item = (item or {}).get(part)
    return item


def only(answer, names):
    """Of all that a server serves what has these names, in this order."""
    for key in NAMES.keys() & answer.keys():
        named = {at(item, NAMES[key]): item for item in answer[key]}
        answer[key] = [named.get(name) for name in names]
    if "paths" in answer:
        answer["paths"] = {name: answer["paths"].get(name) for name in names}
    return answer


def how_to_write(document):
    """Of an OpenAPI document what clients read before they write, and kubectl explain: of each kind its PATCH, and its schema."""
    found = {}
    for path, methods in document["paths"].items():
        if not path.endswith("/{name}"):
            continue
        patch = methods["patch"]
        kind = patch["x-kubernetes-group-version-kind"]
        schemas = [schema for schema in document["components"]["schemas"].values()
                   if schema.get("x-kubernetes-group-version-kind") == [kind]]
        found[path] = {"kind": kind, "types": sorted(patch["requestBody"]["content"]),
                       "parameters": sorted(row["name"] for row in patch["parameters"]),
                       "schemas": [{key: schema["properties"].get(key) for key in ("spec", "status")} for schema in schemas]}
    return found


class Server:
    """`connect` gives a connection of http.client; the namespace is this case's own."""

    def __init__(self, connect, namespace):
        self.connect, self.known = connect, {"ns": namespace}

    def send(self, method, path, body, headers):
        connection = self.connect()
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def run(self, step):
        step = filled(step, self.known)
        method, _, path = (step.get("send") or f"GET {step['watch']}").partition(" ")
        query = {**step.get("query", {}), **({"watch": "1", "timeoutSeconds": WATCH_S} if "watch" in step else {})}
        if query:
            path += "?" + urllib.parse.urlencode(query)
        headers = {"Accept": FORMS[step.get("accept")], "User-Agent": "conformance/1"}
        if "body" in step:
            headers["Content-Type"] = TYPES[step.get("as")]
        status, text = self.send(method, path, step.get("body"), headers)
        if "watch" in step and status == 200:
            return {"status": status, "events": [json.loads(line) for line in text.splitlines()]}
        answer = json.loads(text) if text.startswith("{") else text
        if "only" in step:
            answer = only(answer, step["only"])
        if "how" in step:
            answer = how_to_write(answer)
        for name, where in step.get("keep", {}).items():
            self.known[name] = str(at(answer, where))
        return {"status": status, "body": answer}

    def transcript(self, case):
        return [self.run(step) for step in case]

    def make_namespace(self):
        """It is complete when the real server's controllers have been there."""
        namespace = self.known["ns"]
        made, _ = self.send("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}},
                            {"Content-Type": "application/json"})
        assert made == 201
        path = f"/api/v1/namespaces/{namespace}/configmaps/kube-root-ca.crt"
        eventually(lambda: self.send("GET", path, None, {})[0] == 200, 20, what=f"{namespace} complete")


def both(connects, path):
    """The case, what the real server said, what the embedded one said, their namespaces. `connects`: how one speaks to them."""
    case, said, namespace = steps(path), [], f"conformance-{path.stem}"
    for connect in connects:
        server = Server(connect, namespace)
        server.make_namespace()
        said.append(server.transcript(case))
    return case, *said, (namespace, namespace)


# ---- comparing ----


def leaves(value, path=""):
    """(path, scalar) of everything; an empty map or list is a leaf, too."""
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from leaves(below, f"{path}/{key}")
    elif isinstance(value, list) and value:
        for number, below in enumerate(value):
            yield from leaves(below, f"{path}/{number}")
    else:
        yield path[1:], value


def is_masked(path, step, reason, both, masks):
    """A row speaks of places that both answers have, unless it says `absent`; `step` is a part of what was sent."""
    return any(fnmatch.fnmatchcase(path, mask["at"]) and mask.get("when") in (None, reason) and mask.get("step", "") in step
               and (both or mask.get("absent")) for mask in masks if "at" in mask)


def reason_of(answer):
    return at(answer, "body.reason") if isinstance(answer.get("body"), dict) else None


def meets(mask, case, answers):
    """Whether a row speaks of anything that was said."""
    if "at" not in mask:
        return re.search(mask.get("text") or rf'"{mask["set"]}": \[', json.dumps(answers))
    return any(is_masked(path, step.get("send") or step["watch"], reason_of(answer), True, [mask])
               for step, answer in zip(case, answers, strict=True) for path, _ in leaves(answer))


def plain(text, masks):
    """Without what rows with `text` speak of."""
    for mask in masks:
        text = re.sub(mask["text"], "MASKED", text) if "text" in mask else text
    return text


def as_set(entries, mask):
    """What is compared of a list, and whether there was more."""
    out = mask.get("without", {}).items()
    kept = [entry for entry in entries if not out or not out <= entry.items()]
    return sorted(kept, key=lambda entry: json.dumps(entry, sort_keys=True)), len(kept) != len(entries)


def prepared(answer, namespace, masks):
    """The namespace by one name, and lists of which a row says that their order says nothing as sets."""
    answer = json.loads(plain(json.dumps(answer).replace(namespace, "NAMESPACE"), masks))
    sets = [mask for mask in masks if "set" in mask]

    def walk(value):
        if isinstance(value, dict):
            for mask in sets:
                if isinstance(value.get(mask["set"]), list):
                    value[mask["set"]], value[f"{mask['set']} left out"] = as_set(value[mask["set"]], mask)
            for below in value.values():
                walk(below)
        elif isinstance(value, list):
            for below in value:
                walk(below)

    walk(answer)
    return answer


def differences(case, one, other, names, masks=None):
    """["3 PATCH …: body/spec/port: 80 != 81"] of two transcripts of one case; names = their namespaces."""
    masks = MASKS if masks is None else masks
    found = []
    for number, (step, left, right) in enumerate(zip(case, one, other, strict=True)):
        reason, sent = reason_of(left), step.get("send") or step["watch"]
        left, right = (dict(leaves(prepared(answer, name, masks))) for answer, name in zip((left, right), names))
        for path in sorted(left.keys() | right.keys()):
            said = [side.get(path, "absent") for side in (left, right)]
            if said[0] != said[1] and not is_masked(path, sent, reason, path in left and path in right, masks):
                found.append(f"{number} {sent}: {path}: {said[0]!r} != {said[1]!r}")
    return found
