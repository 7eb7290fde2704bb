"""Ways to edit definitions on disk, as people, editors, deployments and Kubernetes do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.e2e.revisions import HEAD, app, revision
from tests.harness.files import link, replace, write

Edit = Callable[[int], None]
"""Writes the definitions of a revision."""
Layout = Callable[[Path], tuple[Path, Edit]]
"""Returns the path for `--config` below a directory, and the edit; before the first edit nothing exists."""


def in_place(root: Path) -> tuple[Path, Edit]:
    """Edit a file in place."""
    file = root / "signer.yaml"
    return file, lambda number: write(file, revision(number))


def replaced(root: Path) -> tuple[Path, Edit]:
    """Replace the file, as most editors do."""
    file = root / "signer.yaml"
    return file, lambda number: replace(file, revision(number))


def moved_away_then_written(root: Path) -> tuple[Path, Edit]:
    """Edit as vim does with `backupcopy=no`."""
    file = root / "signer.yaml"

    def edit(number: int) -> None:
        if file.exists():
            file.rename(root / "signer.yaml~")
        write(file, revision(number))
        (root / "signer.yaml~").unlink(missing_ok=True)

    return file, edit


def file_of_a_directory(root: Path) -> tuple[Path, Edit]:
    """Replace one file of a directory."""

    def edit(number: int) -> None:
        write(root / "main.yaml", HEAD)
        replace(root / "apps.yaml", f"apps:\n{app(number)}")
        # Emacs marks a file that is being edited with a dangling link.
        link(root / ".#apps.yaml", "somebody@somewhere.1234")

    return root, edit


def config_map(root: Path, files: Callable[[int], dict[str, str]]) -> Edit:
    """Edit as the kubelet does: the files are links through `..data`, whose target changes in one step.

    See: https://pkg.go.dev/k8s.io/kubernetes/pkg/volume/util#AtomicWriter
    """

    def edit(number: int) -> None:
        former = root / (root / "..data").readlink() if (root / "..data").is_symlink() else None
        (fresh := root / f"..2026_01_01_00_00_00.{number}").mkdir()
        for name, text in files(number).items():
            write(fresh / name, text)
        link(root / "..data", fresh.name)
        for name in files(number):
            if not (root / name).is_symlink():
                (root / name).symlink_to(f"..data/{name}")
        if former is not None:
            shutil.rmtree(former)

    return edit


def config_map_file(root: Path) -> tuple[Path, Edit]:
    """Edit a ConfigMap whose file is named."""
    return root / "signer.yaml", config_map(root, lambda number: {"signer.yaml": revision(number)})


def config_map_directory(root: Path) -> tuple[Path, Edit]:
    """Edit a ConfigMap whose directory is named."""
    return root, config_map(root, lambda number: {"main.yaml": HEAD, "apps.yaml": f"apps:\n{app(number)}"})


def config_map_of_equal_files(root: Path) -> tuple[Path, Edit]:
    """Write files that all have the same content, which is not definitions."""
    names = [f"{number}.yaml" for number in range(20)]
    return root, config_map(root, lambda number: dict.fromkeys(names, str(number)))


def release_directory(root: Path) -> tuple[Path, Edit]:
    """Edit by changing the link `current` to another release, and in place within a release."""
    current = root / "current"

    def edit(number: int) -> None:
        if number % 2:
            (fresh := root / f"releases/{number}").mkdir(parents=True)
            write(fresh / "signer.yaml", revision(number))
            link(current, f"releases/{number}")
        else:
            write(current / "signer.yaml", revision(number))

    return current, edit


def link_to_a_file(root: Path) -> tuple[Path, Edit]:
    """Edit a file through a link to it."""
    (elsewhere := root / "elsewhere").mkdir()
    (etc := root / "etc").mkdir()
    link(etc / "signer.yaml", "../elsewhere/real.yaml")
    return etc / "signer.yaml", lambda number: write(elsewhere / "real.yaml", revision(number))


def in_a_hidden_directory(root: Path) -> tuple[Path, Edit]:
    (home := root / ".git").mkdir()
    return home / "signer.yaml", lambda number: write(home / "signer.yaml", revision(number))


def linked_directory_above(root: Path) -> tuple[Path, Edit]:
    """Edit by changing a link two levels above the file."""

    def edit(number: int) -> None:
        (fresh := root / f"releases/{number}/etc").mkdir(parents=True)
        write(fresh / "signer.yaml", revision(number))
        link(root / "current", f"releases/{number}")

    return root / "current/etc/signer.yaml", edit


LAYOUTS: tuple[Layout, ...] = (
    in_place,
    replaced,
    moved_away_then_written,
    file_of_a_directory,
    config_map_file,
    config_map_directory,
    release_directory,
    link_to_a_file,
    in_a_hidden_directory,
    linked_directory_above,
)
