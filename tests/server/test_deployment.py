"""Definitions that the place they are deployed to makes useless."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from signer.definitions.parser import parse
from signer.server.deployment import deployment_warnings
from tests.harness.processes import run
from tests.harness.programs import require_program

TEXT = """
version: 1
server: {%s}
credentials: {r: {type: static, access_key_id: x, access_key_secret: y}}
apps: {a: {key_prefix: p/, bucket: photos, region: cn-hangzhou, credentials: r}}
"""
LISTEN = "listen: 0.0.0.0:5000"


@pytest.mark.parametrize(
    ("server", "has_unit", "warned"), [(LISTEN, True, True), (LISTEN, False, False), ("", True, False)]
)
async def test_an_address_that_systemd_owns(server: str, has_unit: bool, warned: bool, tmp_path: Path) -> None:
    if has_unit:
        (tmp_path / "oss-signer.socket").touch()
    registry = parse({"a.yaml": TEXT % server}, {})
    found = await deployment_warnings(registry, "a.yaml", unit_directories=[tmp_path])
    assert [str(each) for each in found] == (
        [
            "a.yaml:3:18: server.listen: this address is not used, because systemd's oss-signer.socket owns the address; "
            "remove the key, and change ListenStream= in the unit"
        ]
        if warned
        else []
    )


async def test_what_cannot_be_read_gives_no_warning() -> None:
    registry = parse({"a.yaml": TEXT % LISTEN}, {})
    assert await deployment_warnings(registry, "a.yaml", unit_directories=[Path("too long" * 100)]) == []


async def test_a_file_that_is_mounted_by_itself(tmp_path: Path) -> None:
    """As `docker run -v FILE:FILE` does; a mounted directory is no problem."""
    if (await run(require_program("unshare"), "--mount", "true")).status != 0:
        pytest.skip("this system permits no mount namespace, as in a chroot")
    config = tmp_path / "signer file.yaml"
    config.write_text(TEXT % "", encoding="utf-8")
    for source, is_warned in ((config, True), (tmp_path, False)):
        script = 'mount --bind "$1" "$1" && exec "$2" run.py check "$3"'
        command = ("unshare", "--mount", "sh", "-c", script, "sh", source, sys.executable, config)
        ended = await run(*command)
        assert ended.status == 0, ended.err
        assert ("this file is mounted by itself" in ended.err) is is_warned
