"""Requests with a secret where none belongs, as people send them by mistake: the answer may tell them their own words, and
nothing else may keep them. `make(kind)` gives a new secret of kind "client", or "client-name" where the answer does."""

import socket

WRONG_KEY = "flk_aaaaaaaa_" + "b" * 52


def requests(make, registries, registry):
    """[(caller, method, path, body, headers, status)]"""
    path, good = f"{registries}/{registry}", {"name": "x", "spec": {"plan": "s", "host": "x.example.com"}}
    tenant = registries.removesuffix("/registries")

    def value():
        return make("client")

    def name():
        return make("client-name")

    return [
        # in the path
        ("tenant", "GET", f"/{name()}", None, {}, 404), ("provider", "GET", f"/v1/tenants/{name()}", None, {}, 404),
        ("tenant", "GET", f"/v1/tenants/{name()}/registries", None, {}, 404), ("tenant", "DELETE", f"{registries}/{name()}", None, {}, 404),
        ("tenant", "POST", f"{path}:{name()}", {}, {}, 404), ("tenant", "GET", f"{tenant}/operations/{name()}", None, {}, 404),
        ("provider", "PUT", f"/v1/tenants/{name()}", {}, {}, 404), ("nobody", "GET", f"{registries}/{name()}", None, {}, 404),
        # in the query
        ("tenant", "GET", f"{path}?password={value()}", None, {}, 400), ("tenant", "GET", f"{path}?{name()}=1", None, {}, 400),
        ("tenant", "GET", f"{registries}?cursor={value()}", None, {}, 400),
        # in the body: a member that is not there, a value that does not fit, no JSON
        ("tenant", "POST", registries, {**good, "password": value()}, {}, 400), ("tenant", "POST", registries, {**good, name(): 1}, {}, 400),
        ("tenant", "POST", registries, {**good, "spec": {**good["spec"], name(): value()}}, {}, 400),
        ("tenant", "PATCH", path, {"adminPassword": value()}, {}, 400), ("tenant", "PATCH", path, {"spec": {"plan": value()}}, {}, 400),
        ("tenant", "PATCH", path, {"spec": {"version": value()}}, {}, 400), ("tenant", "POST", registries, {**good, "name": f"{value()}_"}, {}, 400),
        ("tenant", "POST", f"{path}:rotate-credentials", {"credentials": {"database": value()}}, {}, 400),
        ("tenant", "POST", registries, f'{{"name": "{value()}" "', {}, 400), ("tenant", "POST", registries, value(), {}, 400),
        # in the headers
        ("nobody", "GET", path, None, {"Authorization": f"Bearer {value()}"}, 401), ("nobody", "GET", path, None, {"Authorization": value()}, 401),
        ("nobody", "GET", path, None, {"Authorization": f"Bearer {WRONG_KEY}"}, 401), ("tenant", "PATCH", path, {}, {"If-Match": value()}, 412),
        ("tenant", "POST", registries, good, {"Content-Type": value()}, 415),
        ("tenant", "GET", path, None, {"Cookie": f"session={value()}", "User-Agent": value(), "X-Password": value()}, 200),
    ]  # fmt: skip


def raw(make):
    """What is refused before it is a request."""
    name, line = make("client-name"), "HTTP/1.1\r\nHost: x\r\n"
    return [f"GET /v1/%00{name} {line}\r\n", f"{make('client')}\r\n\r\n", f"GET /{name * 400} {line}\r\n",
            f"{make('client')} /v1/plans {line}\r\n", f"GET / {line}Host: {make('client')}\r\n\r\n",
            f"POST / {line}Content-Length: {make('client')}\r\n\r\n"]  # fmt: skip


def answer(port, text):
    """All that comes back before the connection ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(text.encode())
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))
