"""Print mistakes and warnings in definitions to stderr, each with its place and line."""

import sys
from collections.abc import Sequence

from signer.definitions.mistake_report import render_mistakes, summary
from signer.definitions.mistakes import BadDefinitions, Mistake
from signer.telemetry.terminal_lines import wants_color

_MAX_WARNINGS = 50
"""Ten thousand apps may have one each."""


def print_mistakes(error: BadDefinitions) -> None:
    """Print every mistake and how many there are."""
    sys.stderr.write(render_mistakes(error.mistakes, color=wants_color(sys.stderr)))
    sys.stderr.write(f"{summary(len(error.mistakes))}\n")


def print_warnings(warnings: Sequence[Mistake]) -> None:
    """Print the first 50 warnings."""
    sys.stderr.write(render_mistakes(warnings[:_MAX_WARNINGS], kind="warning", color=wants_color(sys.stderr)))
    if len(warnings) > _MAX_WARNINGS:
        sys.stderr.write(f"and {len(warnings) - _MAX_WARNINGS:,} more warnings; --json lists them all\n")
