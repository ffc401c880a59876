"""Rows of the house's tables against the code that uses them: what each side names, as sets. Pure; test_rows.py compares."""

import re

import rules

STATUSES = {"True", "False", "Unknown"}
SETTERS = ("condition_set", "set", "set_ready")  # the last two: their callers' short forms of the first


def uncommented(text):
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S)


def row_names(text, macro):
    """NAME of every row MACRO(NAME, ...)."""
    return re.findall(rf"^{macro}\((\w+)", text, re.M)


def words(text):
    """CamelCase string literals: conditions, reasons, findings. What people read has blanks in it."""
    return re.findall(r'"([A-Z][a-z]\w*)"', uncommented(text))


def calls(text, name):
    """The arguments of every call of `name`, as one text each."""
    text = uncommented(text)
    for match in re.finditer(rf"(?<![\w.>]){name}\(", text):
        depth, at = 1, match.end()
        while depth and at < len(text):
            depth += {"(": 1, ")": -1}.get(text[at], 0)
            at += 1
        if text[at : at + 1] == ";" or text[at : at + 1] == ",":
            yield text[match.end() : at - 1]


def conditions(text):
    """(type, reason) of every condition that is set with both in sight."""
    for setter in SETTERS:
        for arguments in calls(text, setter):
            found = [word for word in words(arguments) if word not in STATUSES]
            yield from ((found[0], reason) for reason in found[1:])


def pieces(arguments):
    """Arguments of a call, one by one."""
    depth, found = 0, [""]
    for char in arguments:
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(char, 0)
        if char == "," and not depth:
            found.append("")
        else:
            found[-1] += char
    return [piece.strip() for piece in found]


def refusals(text, code):
    """The reason of every err_set(ctx, code, reason, ...); None where the row's own is taken."""
    for arguments in calls(text, "err_set"):
        match = re.match(rf'\s*[^,]+,\s*{code},\s*(?:"(\w+)"|NULL)', arguments)
        if match:
            yield match.group(1)


def declared(text):
    """Functions that a header offers."""
    return re.findall(r"^(?!static|typedef|#|\s)[\w *]*?\b(\w+)\(", uncommented(text), re.M)


def mentions(texts):
    """How often each name stands in these texts, comments aside."""
    counts = {}
    for text in texts:
        for name in re.findall(r"[A-Za-z_]\w*", rules.code_only(text)):
            counts[name] = counts.get(name, 0) + 1
    return counts


def variables(text):
    """Of the environment, named in full: not a beginning to which a program adds the rest."""
    return re.findall(r"\bFLOTILLA_[A-Z_]+\b(?!\{)", text)


def reasons(text):
    """(error, word) wherever a word stands behind an error, be it in a call or in a row."""
    return re.findall(r'\bERR_([A-Z_]+),(?:\s*\d+,)?(?:\s*\.our_reason =)?\s*"([A-Z]\w+)"', text)
