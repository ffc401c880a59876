"""api/openapi.yaml and server/http/routes.def say the same, and what is served is that file."""

import re

import yaml

from harness import REPO

DOCUMENT = yaml.safe_load((REPO / "api/openapi.yaml").read_text(encoding="utf-8"))
ROUTES = re.findall(
    r'^ROUTE\("(\w+)", +"([^"]+)", +(\w+),', (REPO / "server/http/routes.def").read_text(), re.MULTILINE)
METHODS = ("get", "post", "put", "patch", "delete")


def operations():
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in item:
                yield method.upper(), path, item[method]


def test_routes_are_documented_and_documents_are_routed():
    documented = {
        (method, path, "PUBLIC" if operation.get("security") == [] else operation["x-permission"].upper())
        for method, path, operation in operations()
    }
    assert documented == set(ROUTES)


def test_parameters_are_those_of_the_table():
    table = re.findall(r'^ROUTE\("(\w+)", +"([^"]+)", +\w+, +"([^"]*)",', (REPO / "server/http/routes.def").read_text(),
                       re.MULTILINE)
    assert {(method, path) for method, path, _ in table} == {(method, path) for method, path, _ in ROUTES}

    def named(parameter):
        return DOCUMENT["components"]["parameters"][parameter["$ref"].split("/")[-1]] if "$ref" in parameter else parameter

    for method, path, operation in operations():
        documented = [named(parameter) for parameter in operation.get("parameters", [])]
        names = {parameter["name"] for parameter in documented if parameter["in"] == "query"}
        assert {(method, path): names} == {(m, p): set(query.split()) for m, p, query in table if (m, p) == (method, path)}


def test_versions_are_those_of_the_table():
    versions = re.findall(r'^VERSION\("([^"]+)"', (REPO / "api/versions.def").read_text(), re.MULTILINE)
    for schema in ("NewRegistry", "RegistryPatch"):
        spec = DOCUMENT["components"]["schemas"][schema]["properties"]["spec"]
        assert spec["properties"]["version"]["enum"] == versions


def test_every_reference_leads_somewhere():
    def references(node):
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"]
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    for reference in references(DOCUMENT):
        node = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            node = node[name]


def test_what_is_served_is_the_file(service):
    assert service.provider.get("/openapi.json").json == DOCUMENT


def status_of_a_cell(kind):
    """Its members are the cell's: they walk through as they are."""
    crd = yaml.safe_load((REPO / f"crds/{kind}.yaml").read_text(encoding="utf-8"))
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema["properties"]["status"]["properties"]


def usage_of_a_cell():
    return set(status_of_a_cell("registries")["usage"]["properties"])


def test_stages_have_the_members_of_the_cell_s():
    """And the fleet carries those, and no others."""
    here, there = DOCUMENT["components"]["schemas"], status_of_a_cell("pipelines")
    pairs = {"stage": (here["Stages"]["items"], there["stages"]["items"]),
             "pod": (here["Stages"]["items"]["properties"]["pods"]["items"], there["stages"]["items"]["properties"]["pods"]["items"]),
             "waiting": (here["Waiting"], there["waiting"])}
    carried = (REPO / "reconcilers/fleet/explain.c").read_text(encoding="utf-8")
    for name, (documented, told) in pairs.items():
        members = re.search(rf'{name}_members\[\] =\s+"([^"]*)"', carried)[1].split()
        assert list(documented["properties"]) == members and set(members) == set(told["properties"]), name


def test_a_pipeline_has_the_documented_members(service, tenant):
    properties = DOCUMENT["components"]["schemas"]["Pipeline"]["properties"]
    made = tenant.create_pipeline().json
    pipeline = service.provider.get(f"{tenant.path}/pipelines/{made['id']}").json
    assert set(pipeline) == set(properties)
    for part in ("spec", "status"):
        assert set(pipeline[part]) == set(properties[part]["properties"])


def test_answers_have_the_documented_members(service, tenant):
    properties = DOCUMENT["components"]["schemas"]["Registry"]["properties"]
    answer = tenant.create()
    registry = service.provider.get(f"{tenant.path}/registries/{answer.json['id']}").json
    assert set(registry) == set(properties)
    for part in ("spec", "status"):
        assert set(registry[part]) == set(properties[part]["properties"])
    assert set(properties["usage"]["properties"]) == usage_of_a_cell()
    operation = tenant.api.get(answer.headers["Operation-Location"]).json
    assert set(operation) == set(DOCUMENT["components"]["schemas"]["Operation"]["properties"])
