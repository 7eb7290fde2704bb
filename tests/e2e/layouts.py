"""The ways in which definitions on disk are edited: by people, editors, deploys and Kubernetes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.e2e.reloading import HEAD, app, link, replace, revision, write

Edit = Callable[[int], None]
"""Makes the definitions of this revision."""
Layout = Callable[[Path], tuple[Path, Edit]]
"""What `--config` names below a directory, and how it is edited; nothing is there before the first edit."""


def in_place(root: Path) -> tuple[Path, Edit]:
    file = root / "signer.yaml"
    return file, lambda number: write(file, revision(number))


def replaced(root: Path) -> tuple[Path, Edit]:
    file = root / "signer.yaml"
    return file, lambda number: replace(file, revision(number))


def moved_away_first(root: Path) -> tuple[Path, Edit]:
    """As vim does with `backupcopy=no`."""
    file = root / "signer.yaml"

    def edit(number: int) -> None:
        if file.exists():
            file.rename(root / "signer.yaml~")
        write(file, revision(number))
        (root / "signer.yaml~").unlink(missing_ok=True)

    return file, edit


def file_of_a_directory(root: Path) -> tuple[Path, Edit]:
    def edit(number: int) -> None:
        write(root / "main.yaml", HEAD)
        replace(root / "apps.yaml", f"apps:\n{app(number)}")
        # Emacs marks a file that it edits with a link to nowhere.
        link(root / ".#apps.yaml", "somebody@somewhere.1234")

    return root, edit


def config_map(root: Path, files: Callable[[int], dict[str, str]]) -> Edit:
    """As the kubelet does it (its AtomicWriter): the files are links through `..data`, which is turned in one step."""

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
    return root / "signer.yaml", config_map(root, lambda number: {"signer.yaml": revision(number)})


def config_map_directory(root: Path) -> tuple[Path, Edit]:
    return root, config_map(root, lambda number: {"main.yaml": HEAD, "apps.yaml": f"apps:\n{app(number)}"})


def config_map_of_many(root: Path) -> tuple[Path, Edit]:
    """All of its files say the same; they are no definitions."""
    names = [f"{number}.yaml" for number in range(20)]
    return root, config_map(root, lambda number: dict.fromkeys(names, str(number)))


def release_directory(root: Path) -> tuple[Path, Edit]:
    """`current` is a link to a release, turned to the next one; what is edited in the release counts too."""
    current = root / "current"

    def edit(number: int) -> None:
        if number % 2:
            (fresh := root / f"releases/{number}").mkdir(parents=True)
            write(fresh / "signer.yaml", revision(number))
            link(current, f"releases/{number}")
        else:
            write(current / "signer.yaml", revision(number))

    return current, edit


def file_elsewhere(root: Path) -> tuple[Path, Edit]:
    (elsewhere := root / "elsewhere").mkdir()
    (etc := root / "etc").mkdir()
    link(etc / "signer.yaml", "../elsewhere/real.yaml")
    return etc / "signer.yaml", lambda number: write(elsewhere / "real.yaml", revision(number))


def below_a_hidden_directory(root: Path) -> tuple[Path, Edit]:
    """watchfiles by itself looks away from what is in there."""
    (home := root / ".git").mkdir()
    return home / "signer.yaml", lambda number: write(home / "signer.yaml", revision(number))


def far_link(root: Path) -> tuple[Path, Edit]:
    """A link two levels above the file: no event tells of it in the directories that are watched."""

    def edit(number: int) -> None:
        (fresh := root / f"releases/{number}/etc").mkdir(parents=True)
        write(fresh / "signer.yaml", revision(number))
        link(root / "current", f"releases/{number}")

    return root / "current/etc/signer.yaml", edit


WITH_EVENTS: tuple[Layout, ...] = (
    in_place,
    replaced,
    moved_away_first,
    file_of_a_directory,
    config_map_file,
    config_map_directory,
    release_directory,
    file_elsewhere,
    below_a_hidden_directory,
)
"""The system tells at once of edits in these."""
