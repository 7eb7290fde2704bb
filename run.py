"""Entry point: `python run.py serve`; see `python run.py --help`."""

import sys

from signer.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
