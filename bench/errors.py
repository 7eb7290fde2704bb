"""The error of every part of the bench."""

from __future__ import annotations


class CannotMeasure(Exception):
    """A program is missing, or a server did not start or respond; the text contains the fix."""
