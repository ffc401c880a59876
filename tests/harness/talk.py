"""The frames of the talk (talk_frames.yaml), and whether a recorded history shows them."""

import pathlib

import yaml

CLASSES = {"selecting": ("blue", "green", "yellow"), "splitting": ("red", "grey", "purple")}
SERVICE_LABEL = "kubernetes.io/service-name"
FILLER = "filler"  # so begin the names of pipelines that only take room: the talk does not draw them
SHOWN = ("pipelines", "pipelinebindings", "endpointslices")


class Frame:
    """`talk`, `ours`: {kind: {name: what is shown}}; they differ where there is a `why`."""

    def __init__(self, row, classes):
        self.id, self.why, self.classes = row["id"], row.get("why"), classes
        self.talk = self._view(row)
        self.ours = {**self.talk, **self._view(row.get("ours", {}))}

    def _view(self, row):
        view = {kind: row[kind] for kind in ("pipelines", "scales") if kind in row}
        if "bindings" in row:
            view["bindings"] = self._by_stage(row["bindings"], lambda phase: phase)
        if "services" in row:
            view["services"] = self._by_stage(row["services"], lambda pods: [pods] if isinstance(pods, str) else pods)
        return view

    def _by_stage(self, rows, shown):
        return {f"{pipeline}-{stage}": shown(cell) for pipeline, cells in rows.items()
                for stage, cell in zip(self.classes, [cells] * len(self.classes) if isinstance(cells, str) else cells)}


def frames(part):
    rows = yaml.safe_load(pathlib.Path(__file__).with_name("talk_frames.yaml").read_text(encoding="utf-8"))[part]
    return [Frame(row, CLASSES.get(part, CLASSES["selecting"])) for row in rows]


def view_of(state):
    """As the talk draws it. A binding without a status yet is Pending, as the operator counts it."""
    services = {}
    for item in state["endpointslices"].values():
        pods = services.setdefault(item["metadata"]["labels"][SERVICE_LABEL], [])
        pods.extend(end["targetRef"]["name"] for end in item.get("endpoints") or [] if end["conditions"]["ready"])
    view = {"pipelines": {name: item.get("status", {}).get("phase") for name, item in state["pipelines"].items()},
            "bindings": {name: item.get("status", {}).get("phase", "Pending") for name, item in state["pipelinebindings"].items()},
            "services": {name: sorted(pods) for name, pods in services.items()}}
    return {kind: {name: cell for name, cell in rows.items() if not name.startswith(FILLER)} for kind, rows in view.items()}


def views(history, after=0):
    """[(version, view), …] behind a version, each different from the one before."""
    told = []
    for version, state in history.states():
        view = view_of(state)
        if version > after and (not told or told[-1][1] != view):
            told.append((version, view))
    return told


def shows(view, wanted):
    return all(view[kind] == rows for kind, rows in wanted.items() if kind != "scales")


def follow(told, wanted):
    """Each of the wanted views at or behind the one before: [version, …]. Those from the first that is missing on are None."""
    found, at = [], 0
    for view in wanted:
        while at < len(told) and not shows(told[at][1], view):
            at += 1
        found.append(told[at][0] if at < len(told) else None)
    return found


def paths(told):
    """What each pipeline and binding went through: {name: [phase, …]}; no phase yet is none."""
    gone_through = {}
    for view in told:
        for kind in ("pipelines", "bindings"):
            for name, phase in view.get(kind, {}).items():
                path = gone_through.setdefault(name, [])
                if phase and path[-1:] != [phase]:
                    path.append(phase)
    return gone_through


def moved(history, after=0):
    """The bindings whose shares became others behind a version."""
    before, names = {}, set()
    for version, state in history.states():
        for name, item in state["pipelinebindings"].items():
            if version > after and before.get(name, item)["spec"]["shares"] != item["spec"]["shares"]:
                names.add(name)
        before = dict(state["pipelinebindings"])
    return names
