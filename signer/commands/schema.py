"""Print the JSON Schema of the definitions."""

import argparse
import sys
from pathlib import Path

import signer.definitions

SCHEMA = Path(signer.definitions.__file__).with_name("schema.json")
"""Generated from the models by `make docs`."""


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """Add nothing: this command has no options."""


def run(_options: argparse.Namespace) -> int:
    """Write the schema to stdout."""
    sys.stdout.write(SCHEMA.read_text(encoding="utf-8"))
    return 0
