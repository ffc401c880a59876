"""The rules of the house, each a function from one file to complaints. test_rules.py plants a breach of each."""

import re

# Who may include whom; what is reached through others counts, too (docs/architecture.md has the picture).
LOW = {"server/adapters", "server/net", "api"}
ARROWS = {
    "server/base": set(),
    "api": {"server/base"},
    "server/adapters": {"server/base"},
    "server/net": {"server/adapters", "server/base"},
    "server/store": LOW,
    "server/http": LOW,
    "server/handlers": {"server/http", "server/store", "reconcilers/pipeline/graph"},
    "server/dev": LOW,
    "reconcilers/kube": LOW,
    "reconcilers/backends": LOW,
    "reconcilers/engine": {"reconcilers/kube"},
    "reconcilers/fleet": {"server/store", "reconcilers/engine"},
    "reconcilers/loadbalancer/agent": {"server/adapters"},
    "reconcilers/pipeline/placement": {"server/base"},  # pure
    "reconcilers/pipeline/graph": {"reconcilers/pipeline/placement"},  # pure: whoever has a Pipeline's text
    "reconcilers/pipeline/metricsapi": {"reconcilers/engine", "server/net"},
    "reconcilers/pipeline": {"reconcilers/engine", "server/net", "reconcilers/pipeline/graph"},
}
KIND = {"reconcilers/engine", "reconcilers/backends", "server/net"}  # every other folder of reconcilers/

# A library's header stands in one folder only; curl also where the program initialises it.
HEADERS = {
    "libpq-fe.h": {"server/adapters"},
    "curl/": {"server/adapters", "server"},
    "openssl/": {"server/adapters"},
    "hiredis/": {"server/adapters"},
    "crypt.h": {"server/adapters"},
    "microhttpd.h": {"server/net", "server/dev"},  # devcluster's watches are streams, which net does not have
    "yaml.h": {"server/base"},
}

BANNED = {
    "strcpy": "no bound", "strcat": "no bound", "sprintf": "no bound", "vsprintf": "no bound", "gets": "no bound",
    "strtok": "hidden state", "atoi": "no error", "atol": "no error", "system": "a shell", "popen": "a shell",
    "alloca": "stack use must be bounded",
}  # fmt: skip

LINES_MAX = {".c": 600, ".h": 200, ".sh": 300}
FUNCTION_LINES_MAX = 80
README_LINES_MAX = 25
JSON_CALLS_MAX = 300
# A fake API server grows until it is as slow and as wrong as nobody knows: what does not fit is answered 501.
DEVCLUSTER = "server/dev/devcluster/"
DEVCLUSTER_LINES_MAX = 4450


def room_of(path):
    """The folder that the arrows speak of; None outside of the house (tests, docs)."""
    parts = path.split("/")[:-1]
    if not parts or parts[0] not in ("server", "reconcilers", "api"):
        return None
    for room in sorted(ARROWS, key=len, reverse=True):
        if parts[: room.count("/") + 1] == room.split("/"):
            return room
    return "/".join(parts[:2])


def reachable(room):
    """All rooms that `room` may include, itself among them."""
    seen, todo = set(), [room]
    while todo:
        at = todo.pop()
        if at not in seen:
            seen.add(at)
            todo.extend(ARROWS.get(at, KIND if at.startswith("reconcilers/") else ()))
    return seen


def code_only(text):
    """The text without comments and string contents; line numbers stay."""

    def blank(match):
        token = match.group(0)
        return '""' if token[0] == '"' else re.sub(r"[^\n]", " ", token)

    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', blank, text, flags=re.S)


def functions(text):
    """(name, first line, lines) of every body whose braces stand in column 0."""
    lines = text.split("\n")
    start = None
    for at, line in enumerate(lines):
        if line.startswith("{"):
            start = at
        elif line.startswith("}") and start is not None:
            names = re.findall(r"^\w[^=;]*?\b([A-Za-z_]\w*)\s*\(", "\n".join(lines[max(0, start - 6) : start]), re.M)
            if names:
                yield names[-1], start + 1, at - start + 1
            start = None


def includes(path, text):
    room = room_of(path)
    if room is None:
        return
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
        if not match:
            continue
        quoted, name = match.group(1) == '"', match.group(2)
        yield from foreign_header(f"{path}:{number}", room, name)
        if not quoted or room == "server":
            continue  # server/*.c is where everything is put together
        other = room_of(name)
        if name.startswith("."):
            yield f"{path}:{number}: {name}: includes are written from the root"
        elif other and other not in reachable(room):
            yield f"{path}:{number}: {room} may not include {name}"


def foreign_header(place, room, name):
    for header, rooms in HEADERS.items():
        if (name == header or header.endswith("/") and name.startswith(header)) and room not in rooms:
            yield f"{place}: {name} belongs to {', '.join(sorted(rooms))}"


def banned(path, text):
    for number, line in enumerate(code_only(text).split("\n"), 1):
        for name in re.findall(r"(?<![\w.>])(\w+)\s*\(", line):
            if name in BANNED:
                yield f"{path}:{number}: {name} is banned: {BANNED[name]}"


def first_argument(text):
    """Of a call, from behind its bracket on."""
    depth = 0
    for at, char in enumerate(text):
        depth += {"(": 1, ")": -1}.get(char, 0)
        if depth < 0 or (char == "," and depth == 0):
            return text[:at]
    return text


def walks_over_a_call(path, text):
    """jansson's macros evaluate what they walk over again for each item: n lists of n objects. json_*() only looks."""
    code = code_only(text)
    for match in re.finditer(r"json_(?:array|object)_foreach(?:_safe)?\(", code):
        for name in re.findall(r"\b([a-z]\w*)\(", first_argument(code[match.end():])):
            if not name.startswith("json_"):
                yield f"{path}:{code.count(chr(10), 0, match.start()) + 1}: {name}() is called again for each item"


def lengths(path, text):
    lines = text.count("\n")
    limit = LINES_MAX.get(path[path.rfind(".") :])
    if limit and lines > limit:
        yield f"{path}: {lines} lines, at most {limit}"
    if path.endswith(".c"):
        for name, at, count in functions(text):
            if count > FUNCTION_LINES_MAX:
                yield f"{path}:{at}: {name} has {count} lines, at most {FUNCTION_LINES_MAX}"


def ascii_only(path, text):
    for number, line in enumerate(text.split("\n"), 1):
        if not line.isascii():
            yield f"{path}:{number}: not ASCII"


def readme_length(path, text):
    if text.count("\n") > README_LINES_MAX:
        yield f"{path}: {text.count(chr(10))} lines, at most {README_LINES_MAX}"


def code_lines(text):
    """Without blank lines, comments and lines of one brace, which the formatter makes."""
    return sum(1 for line in code_only(text).split("\n") if line.strip() not in ("", "{", "}"))


def json_calls(text):
    """How often the text builds JSON by hand."""
    return len(re.findall(r"\bjson_(?:object_set\w*|pack\w*|array_append\w*|put\w*)\s*\(", code_only(text)))


C_RULES = (includes, banned, walks_over_a_call, lengths, ascii_only)
