"""What every pytest suite stands on: real servers, fresh databases, flotillad as a child process."""

import pathlib

REPO = pathlib.Path(__file__).resolve().parents[2]
