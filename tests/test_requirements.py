"""requirements.txt and requirements.lock: the same versions, and hashes for each."""

from __future__ import annotations

import re

from tests.harness.processes import ROOT

_PIN = re.compile(r"^([\w.-]+)==([^\s;\\]+)(?: ; ([^\\\n]+?))?(?: \\)?((?:\n +--hash=\S+(?: \\)?)*)$", re.MULTILINE)


def pins(name: str) -> dict[str, tuple[str, int]]:
    """Return the version and the number of hashes of each package, apart from those for Windows."""
    text = (ROOT / name).read_text("utf-8")
    return {
        found[1].lower().replace("_", "-"): (found[2], found[4].count("--hash="))
        for found in _PIN.finditer(text)
        if found[3] != "sys_platform == 'win32'"
    }


def test_the_lock_has_the_pinned_versions_with_hashes() -> None:
    """`make lock` writes it."""
    locked, pinned = pins("requirements.lock"), pins("requirements.txt")
    assert {name: version for name, (version, _) in locked.items()} == {
        name: version for name, (version, _) in pinned.items()
    }
    assert all(count for _, count in locked.values())
    assert len(pinned) > 40
