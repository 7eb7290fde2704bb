"""The order and the waits of `rolling-restart`, with a `systemctl` and a `sleep` that only take notes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.harness.processes import ROOT, run

SYSTEMCTL = """\
#!/bin/sh
cd "$(dirname "$0")"
case $1 in
list-units) printf 'oss-signer@%s.service loaded active\\n' 1 2 ;;
restart) echo "restart $2" >> notes ;;
show)
    # The next line of the unit's file, of which the last one stays.
    head -n 1 "$3"
    [ "$(wc -l < "$3")" -eq 1 ] || sed -i 1d "$3"
    echo "show $3" >> notes ;;
esac
"""
SLEEP = '#!/bin/sh\necho "sleep $1" >> "$(dirname "$0")/notes"\n'


async def notes(directory: Path, first: list[str], second: list[str]) -> list[str]:
    """Run the script, and return the restarts and sleeps; the lists are the status texts of the workers."""
    for name, script in (("systemctl", SYSTEMCTL), ("sleep", SLEEP)):
        (directory / name).write_text(script, encoding="ascii")
        (directory / name).chmod(0o755)
    for number, texts in ((1, first), (2, second)):
        lines = "".join(f"StatusText=worker {number}: 600 apps, {text}, definitions of today\n" for text in texts)
        (directory / f"oss-signer@{number}.service").write_text(lines, encoding="ascii")
    ended = await run(ROOT / "systemd/rolling-restart", environ={"PATH": f"{directory}:{os.environ['PATH']}"})
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == "oss-signer@1.service\noss-signer@2.service\n"
    taken = (directory / "notes").read_text(encoding="ascii").splitlines()
    return [line for line in taken if not line.startswith("show")]


WARM = ["600 of 600 roles usable"]
RESTARTS = ["restart oss-signer@1.service", "restart oss-signer@2.service"]


@pytest.mark.parametrize(
    ("first", "sleeps"),
    [
        (
            ["600 of 600 roles usable", "80 of 600 roles usable", "590 of 600 roles usable", "600 of 600 roles usable"],
            2,
        ),
        (["590 of 600 roles usable", "80 of 600 roles usable", "590 of 600 roles usable"], 1),
        (["600 of 600 roles usable", "3 of 4 roles usable", "4 of 4 roles usable"], 1),
        (["600 of 600 roles usable", "0 of 600 roles usable"], 60),
        (["2 of 2 roles usable"], 0),
    ],
    ids=["warm", "as warm as before", "fewer roles", "never warm", "few roles"],
)
async def test_the_next_worker_follows_when_the_last_one_is_as_warm_as_before(
    first: list[str], sleeps: int, tmp_path: Path
) -> None:
    assert await notes(tmp_path, first, WARM) == [RESTARTS[0], *["sleep 1"] * sleeps, RESTARTS[1]]


async def test_a_worker_without_a_status_is_waited_for(tmp_path: Path) -> None:
    assert await notes(tmp_path, ["starting", "starting", "1 of 1 roles usable"], WARM) == [
        RESTARTS[0],
        "sleep 1",
        RESTARTS[1],
    ]
