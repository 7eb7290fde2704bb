"""The beginning of the process: `python -m signer`, `python run.py` and the installed `oss-signer` all start here."""

from __future__ import annotations

import gc
import sys

from signer.commands import reload


def start() -> int:
    """Loads the command line and hands it the arguments; returns the exit status."""
    if sys.argv[1:2] == ["reload"]:
        return reload.main(sys.argv[2:])
    # What is loaded stays. To look for garbage in it meanwhile, or ever after, costs a tenth of the start.
    gc.disable()
    from signer.cli import main

    gc.freeze()
    gc.enable()
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(start())
