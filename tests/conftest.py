"""Makes the harness known to every suite, also when pytest is called by hand on one of them."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

pytest_plugins = ["harness.fixtures"]
