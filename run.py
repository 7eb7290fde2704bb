"""Entry point of a checkout: `.venv/bin/python run.py serve`; see `run.py --help`."""

import sys

from signer.__main__ import start

if __name__ == "__main__":
    try:
        sys.exit(start())
    except ModuleNotFoundError as error:
        # The system's Python does not have the requirements.
        sys.exit(f"{error.name} is not installed for {sys.executable}; run `make demo` once, then .venv/bin/oss-signer")
