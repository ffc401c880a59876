"""What the searches took together: the issue allows five minutes and 4 GiB (tests/run has the minutes, spin.py the memory)."""

from harness.spin import MEMORY_MIB, SEARCHED


def pytest_terminal_summary(terminalreporter):
    if SEARCHED:
        terminalreporter.write_line(
            f"{len(SEARCHED)} searches: {sum(found.states for found in SEARCHED)} states in {sum(found.seconds for found in SEARCHED):.0f} s, "
            f"at most {max(found.mib for found in SEARCHED):.0f} MiB (limit {MEMORY_MIB})")
