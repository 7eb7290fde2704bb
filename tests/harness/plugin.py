"""Installs a plugin like a package, for processes that the tests launch."""

from __future__ import annotations

from pathlib import Path

from tests.harness.files import write


def install_store_plugin(directory: Path, name: str, code: str) -> dict[str, str]:
    """Write a module whose function `name` opens a store for URLs of this scheme; return the environment to find it."""
    information = directory / f"{name}-1.dist-info"
    information.mkdir(parents=True)
    write(directory / f"{name}.py", code)
    write(information / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    write(information / "entry_points.txt", f"[oss_signer.stores]\n{name} = {name}:{name}\n")
    return {"PYTHONPATH": str(directory)}
