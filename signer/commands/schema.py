"""Print the JSON Schema of the definitions."""

import argparse
import sys

from signer.definitions.schema import json_schema


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """Add nothing: this command has no options."""


def run(_options: argparse.Namespace) -> int:
    """Write the schema to stdout."""
    sys.stdout.write(json_schema())
    return 0
