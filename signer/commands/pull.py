"""Print the definitions that a store contains."""

import argparse
import sys

from signer.commands.definition_options import add_definition_options, open_definitions
from signer.server import event_loop
from signer.stores import bundle


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_definition_options(parser)


def run(options: argparse.Namespace) -> int:
    """Write the definitions to stdout; a line `# file: NAME` precedes each of several files."""
    sys.stdout.write(event_loop.run(_load(options)))
    return 0


async def _load(options: argparse.Namespace) -> str:
    async with open_definitions(options) as definitions:
        return bundle.join_files((await definitions.load()).files)
