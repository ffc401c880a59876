"""Polling instead of sleeping."""

import time


def eventually(check, timeout=10.0, interval=0.05, what=None):
    """Calls check until it returns something true and returns that.

    An exception counts as "not yet"; the last one explains the failure.
    """
    deadline = time.monotonic() + timeout
    last = None
    while True:
        try:
            value = check()
            if value:
                return value
            last = f"last value {value!r}"
        except Exception as error:  # pylint: disable=broad-except
            last = f"last error {type(error).__name__}: {error}"
        if time.monotonic() >= deadline:
            name = what or getattr(check, "__name__", "condition")
            raise AssertionError(f"{name}: not within {timeout} s; {last}")
        time.sleep(interval)
