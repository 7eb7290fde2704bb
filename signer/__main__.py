"""The start of the process, for `python -m signer`, `python run.py` and the installed `oss-signer`."""

import sys

from signer.commands import reload
from signer.garbage_collection import without_garbage_collection
from signer.standard_streams import prepare_standard_streams


def start() -> int:
    """Run the command line with the arguments of the process, and return its exit status."""
    prepare_standard_streams()
    if sys.argv[1:2] == ["reload"]:
        return reload.main(sys.argv[2:])
    # The imported modules stay; collecting garbage meanwhile takes a tenth of the start.
    with without_garbage_collection():
        from signer.cli import main

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(start())
