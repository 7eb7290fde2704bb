"""The generated descriptions are docstrings, which PYTHONOPTIMIZE=2 removes."""

import sys


def require_docstrings() -> None:
    """End the program with a reason if it runs without docstrings."""
    if sys.flags.optimize >= 2:
        sys.exit("the descriptions are docstrings, which this optimization removes; unset PYTHONOPTIMIZE")
