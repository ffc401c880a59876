"""Complete searches of machines in Promela: SPIN's verifier under weak fairness; a search that was cut short is none."""

import dataclasses
import pathlib
import re
import subprocess

MACHINES = pathlib.Path(__file__).parents[1] / "model"
DEPTH, MEMORY_MIB = 3_000_000, 4096
SEARCHED = []  # all that this process has found


@dataclasses.dataclass
class Found:
    """states: how many were stored. cycle: a run that never fulfils the claim. broken: the assertion that failed. seconds, mib:
    what the verifier says it took, without its compilation."""

    states: int
    cycle: bool
    broken: str
    seconds: float
    mib: float

    @property
    def nothing(self):
        return not self.cycle and not self.broken


def search(directory, machine, claim="progress", timeout_s=600, long=True, **defined):
    """Searches tests/model/<machine>.pml, with these names defined, for a run that breaks the claim or an assertion. One that
    is not long is over before an optimising compiler would have been."""
    flags = [f"-D{name}={value}" for name, value in defined.items()]
    for command in (["spin", "-a", *flags, str(MACHINES / f"{machine}.pml")],
                    ["gcc", "-O2" if long else "-O0", "-w", f"-DMEMLIM={MEMORY_MIB}", "-o", "pan", "pan.c"]):
        subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True, timeout=120)
    said = subprocess.run(["./pan", "-a", "-f", f"-m{DEPTH}", "-N", claim], cwd=directory, check=True, capture_output=True,
                          text=True, timeout=timeout_s).stdout
    for word in ("max search depth", "out of memory", "pan: error"):
        assert word not in said, said
    broken = re.search(r"assertion violated (.*) \(at depth", said)
    found = Found(int(re.search(r"(\d+) states, stored", said)[1]), "acceptance cycle (at" in said, broken[1] if broken else "",
                  _number(r"elapsed time ([\d.]+) seconds", said), _number(r"([\d.]+)\s+total actual memory usage", said))
    assert found.nothing == ("errors: 0" in said), said
    SEARCHED.append(found)
    print(f"{machine} {claim} {' '.join(f'{name}={value}' for name, value in defined.items())}: {found.states} states, "
          f"{'a cycle' if found.cycle else found.broken or 'holds'}; {found.seconds:.1f} s, {found.mib:.0f} MiB")
    return found


def _number(pattern, said):
    """The last one that was said: memory is told twice where a search ends early."""
    return float(re.findall(pattern, said)[-1])
