"""Polling instead of sleeping.

Each question has its word: `eventually` something is so, however busy the machine is; it is so `within` a time that
is itself what is claimed; it `rests` at what it is. What must not happen at all: `never`."""

import time

# Operators look again at pools after 30 s, and at what they wait for after 5 or 15 s: who claims that something woke them asks
# `within`.
PATIENCE_S = 45.0


def within(check, seconds, interval=0.05, what=None):
    """Calls check until it returns something true and returns that. `seconds` is part of what is claimed.

    An exception counts as "not yet"; the last one explains the failure.
    """
    deadline = time.monotonic() + seconds
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
            raise AssertionError(f"{name}: not within {seconds} s; {last}")
        time.sleep(interval)


def eventually(check, timeout=10.0, interval=0.05, what=None):
    """As `within`, where the time claims nothing: so long it takes at most on a machine that has time, and a busy one gets more.
    Only who fails waits for that."""
    return within(check, max(timeout, PATIENCE_S), interval, what)


def rests(look, seconds, timeout=60.0, interval=0.1, what=None):
    """Until look() gives the same for so many seconds; returns that. Who goes on and on fails."""
    deadline = time.monotonic() + timeout
    found, since = look(), time.monotonic()
    while time.monotonic() - since < seconds:
        assert time.monotonic() < deadline, f"{what or 'it'} does not rest for {seconds} s within {timeout} s; last value {found!r}"
        time.sleep(interval)
        again = look()
        if again != found:
            found, since = again, time.monotonic()
    return found


def never(check, seconds, interval=0.1, what=None):
    """check() is false for so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = check()
        assert not value, f"{what or 'what must not be'}: {value!r}"
        time.sleep(interval)
