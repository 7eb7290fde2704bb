"""Writes files as people, editors and deployments do."""

from __future__ import annotations

from pathlib import Path


def write(file: Path, text: str) -> None:
    """Write a file in place."""
    file.write_text(text, encoding="utf-8")


def replace(file: Path, text: str) -> None:
    """Replace a file by a new one in one step, as most editors do."""
    write(new := file.with_name(file.name + ".new"), text)
    new.replace(file)


def link(name: Path, target: str | Path) -> None:
    """Create a symbolic link, or change its target in one step."""
    (new := name.with_name(name.name + ".new")).symlink_to(target)
    new.replace(name)
