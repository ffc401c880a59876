"""Differences, each a change of one answer; a comparison that lets one pass is worth nothing."""


def _status(answer):
    answer["status"] += 1


def _reason(answer):
    answer["body"]["reason"] = "Conflict"


def _generation(answer):
    answer["body"]["metadata"]["generation"] += 1


def _gone_field(answer):
    del answer["body"]["metadata"]["labels"]


def _new_field(answer):
    answer["body"]["extra"] = None


def _owner(answer):
    answer["body"]["metadata"]["managedFields"][0]["manager"] = "somebody"


def _order(answer):
    answer["body"]["items"].reverse()


def _event(answer):
    answer["events"].pop()


def _event_type(answer):
    answer["events"][-1]["type"] = "MODIFIED"


def _unversioned(answer):
    del answer["body"]["metadata"]["resourceVersion"]


def _verb(answer):
    answer["body"]["items"][0]["versions"][0]["resources"][0]["verbs"].remove("watch")


def _schema(answer):
    path = next(iter(answer["body"]))
    answer["body"][path]["schemas"][0]["spec"]["properties"].popitem()


ORDERED = 22  # the list of all that have the label

# name: (case, number of the step, what happens to its answer)
PLANTED = {
    "another status": ("configmaps", 0, _status),
    "another reason": ("configmaps", 1, _reason),
    "generation counts labels": ("custom", 5, _generation),
    "labels are lost": ("configmaps", 7, _gone_field),
    "a null that nobody sent": ("configmaps", 7, _new_field),
    "another owner": ("apply", 0, _owner),
    "a list in another order": ("configmaps", ORDERED, _order),
    "an event less": ("watches", 8, _event),
    "an event of another type": ("watches", 8, _event_type),
    "an object without version": ("configmaps", 0, _unversioned),
    "a verb that is not told": ("discovery", 0, _verb),
    "a field that no schema has": ("discovery", 12, _schema),
}
