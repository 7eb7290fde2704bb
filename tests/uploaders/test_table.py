"""The table of docs/uploaders.md has every client, with the version that the tests install."""

from __future__ import annotations

from tests.uploaders.pages import COMPONENTS
from tests.uploaders.programs import PROGRAMS
from tests.uploaders.table import CHECKS, PASSED, npm_version, rows


def test_the_table_has_every_client() -> None:
    assert set(rows()) == {each.title for each in COMPONENTS} | {each.title for each in PROGRAMS}


def test_every_client_has_passed_every_check() -> None:
    for client, (_, *results) in rows().items():
        assert results == [PASSED] * len(CHECKS), client


def test_the_versions_are_those_that_the_tests_install() -> None:
    installed = {each.title: npm_version(each.package, each.packages) for each in COMPONENTS}
    installed |= {each.title: each.pinned() for each in PROGRAMS if each.pinned is not None}
    found = {client: version for client, (version, *_) in rows().items() if client in installed}
    assert found == installed, "run UPDATE_EXPECTED=1 pytest tests/uploaders"
