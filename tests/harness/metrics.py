"""What a running flotillad says about itself at /metrics."""

import re

from .http import Api

_LINE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def port_of(process):
    """serve answers on its own port, the others on one that they log."""
    def told(line):
        return re.search(r"(?:health and metrics|ready) on [^ ]*:(\d+)", line.get("msg", ""))

    return int(told(process.wait_log(told)).group(1))


def read(process, name):
    """[({label: value}, number), ...] of one metric."""
    answer = Api(port_of(process)).request("GET", "/metrics")
    assert answer.status == 200, answer
    rows = (_LINE.match(line) for line in str(answer.body).splitlines())
    return [(dict(_LABEL.findall(row["labels"] or "")), float(row["value"])) for row in rows if row and row["name"] == name]
