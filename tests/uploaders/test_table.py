"""The tables of docs/uploaders.md have every client and SDK, with the versions that the tests install."""

from __future__ import annotations

import re

from tests.harness.processes import ROOT
from tests.uploaders.pages import COMPONENTS
from tests.uploaders.programs import PROGRAMS
from tests.uploaders.recipes import CHINESE_PAGE, PAGE
from tests.uploaders.table import (
    CHECKS,
    CLIENTS,
    PASSED,
    SDKS,
    is_updating,
    npm_version,
    pip_version,
    rows,
    write_row,
)

ORACLE = ROOT / "tests/oracle"
JUDGES = {
    "ali-oss": (npm_version("ali-oss", ORACLE), "OSS: V1, V4", "test_ali_oss.py"),
    "@alicloud/credentials": (npm_version("@alicloud/credentials", ORACLE), "STS: TLS", "test_tls.py"),
    "@alicloud/pop-core": (npm_version("@alicloud/pop-core", ORACLE), "STS: RPC", "test_sts_rpc.py"),
    "alibabacloud-credentials": (pip_version("alibabacloud-credentials"), "STS: TLS", "test_tls.py"),
    "alibabacloud-oss-v2": (pip_version("alibabacloud-oss-v2"), "OSS: V4", "conftest.py"),
    "alibabacloud-sts20150401": (pip_version("alibabacloud-sts20150401"), "STS: ACS3", "sdk.py"),
    "oss2": (pip_version("oss2", "tests/oss2/requirements.txt"), "OSS: V1, V4", "test_oss2.py"),
}
"""Versions, what they call, and a file of tests/localcloud that uses them."""


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


def test_the_table_has_the_sdks_that_judge_the_local_cloud() -> None:
    for name, (version, calls, file) in JUDGES.items():
        text = (ROOT / "tests/localcloud" / file).read_text("utf-8")
        assert any(each in text for each in (name, name.replace("-", "_"), "ORACLE")), file
        if is_updating():
            for page in (PAGE, CHINESE_PAGE):
                write_row(SDKS, page, name, (version, calls))
    assert rows(SDKS) == {name: (version, calls) for name, (version, calls, _) in JUDGES.items()}


def test_both_pages_have_the_same_recipes_and_tables() -> None:
    english, chinese = (
        re.findall(r"^```.*?^```$", page.read_text("utf-8"), re.M | re.S) for page in (PAGE, CHINESE_PAGE)
    )
    assert english == chinese
    for name in (CLIENTS, SDKS):
        assert rows(name) == rows(name, CHINESE_PAGE)
