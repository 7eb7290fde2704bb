"""docs/architecture.md describes the code as it is: the floors, the way of an upload, and every file it names."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
MAX_LINES = 300


def test_the_diagram_shows_the_floors_that_lint_checks() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    [layers] = [each["layers"] for each in project["tool"]["importlinter"]["contracts"] if each["type"] == "layers"]
    [diagram] = re.findall(r"```mermaid\n(.*?)```", DOCUMENT, re.DOTALL)
    floors = sorted(re.findall(r'f(\d+)\["([^"]+)"\]', diagram), key=lambda floor: int(floor[0]))
    assert [label for _, label in floors] == layers
    arrows = re.sub(r"\[.*?\]", "", diagram.replace("flowchart TB", ""))
    order = [name for line in arrows.splitlines() for name in re.findall(r"f(\d+)", line)]
    assert list(dict.fromkeys(order)) == [str(number) for number in range(1, len(layers) + 1)]


def test_every_named_file_exists() -> None:
    for path in re.findall(r"`((?:signer|localcloud|tests|tools|bench)/[\w/.]+)`", DOCUMENT):
        assert (ROOT / path).exists(), path


def test_no_file_appears_twice_on_the_way_of_an_upload() -> None:
    [way] = re.findall(r"## The way of an upload\n(.*?)\n\n[^\d\n]", DOCUMENT.replace("\n\n1.", "\n1."), re.DOTALL)
    steps = re.findall(r"^\d+\. (.*)", way, re.MULTILINE)
    assert len(steps) == 9
    files = [path for step in steps for path in re.findall(r"`(signer/[\w/.]+)`", step)]
    assert len(files) == len(set(files))


def test_no_module_is_longer_than_a_few_screens() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / "signer").rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    }
    assert not long


def test_no_two_classes_share_a_name() -> None:
    places: dict[str, list[str]] = {}
    for path in sorted((ROOT / "signer").rglob("*.py")):
        for name in re.findall(r"^class ([A-Z]\w*)", path.read_text(encoding="utf-8"), re.MULTILINE):
            places.setdefault(name, []).append(str(path.relative_to(ROOT)))
    assert not {name: found for name, found in places.items() if len(found) > 1}
