"""Entry point: `python run.py serve`; see `python run.py --help`."""

import sys

from signer.__main__ import start

if __name__ == "__main__":
    sys.exit(start())
