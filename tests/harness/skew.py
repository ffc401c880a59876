"""A process whose wall clock is not that of the others, by a library of a few lines (skew.c), which the compiler makes that every
machine has. Time namespaces would need nothing, but they leave the wall clock alone."""

import pathlib
import re
import subprocess

from .process import binary

SOURCE = pathlib.Path(__file__).with_name("skew.c")


def skewed(directory, seconds):
    """What a flotillad that is so many seconds ahead is started with."""
    library = pathlib.Path(directory) / "skew.so"
    if not library.exists():
        subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-o", library, SOURCE], check=True, capture_output=True)
    linked = subprocess.run(["ldd", binary()], check=True, capture_output=True, text=True).stdout
    sanitizer = re.findall(r"=> (\S*/libasan\S*)", linked)  # wants to be the first, and asks the next one for the time
    return {"LD_PRELOAD": " ".join([*sanitizer, str(library)]), "SKEW_S": str(seconds)}
