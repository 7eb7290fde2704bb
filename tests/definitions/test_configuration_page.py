"""docs/configuration.zh-CN.md describes every key in Chinese, and its texts follow the English ones."""

from __future__ import annotations

import re
from typing import Any

import pytest

from signer.definitions import model
from tests.harness.processes import ROOT
from tools.configuration_docs import configuration_page
from tools.languages import Chinese, chinese_texts

PAGE = ROOT / "docs/configuration.zh-CN.md"
CELL = re.compile(r"(?<!\\)\|")
HANZI = re.compile("[\u4e00-\u9fff]")


@pytest.fixture
def texts() -> dict[str, Any]:
    return chinese_texts()


def mistakes(texts: dict[str, Any]) -> list[str]:
    language = Chinese(texts)
    configuration_page(language)
    return list(language.mistakes())


def test_every_text_is_chinese_and_follows_the_english_one() -> None:
    """Otherwise correct tools/configuration.zh-CN.yaml as these lines say, and run `make docs`."""
    language = Chinese()
    page = configuration_page(language)
    assert list(language.mistakes()) == []
    assert page == PAGE.read_text(encoding="utf-8")


def test_every_key_has_a_chinese_description() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| `") and len(CELL.split(line)) == 7]
    assert len(rows) > len(model.Server.model_fields) + len(model.Defaults.model_fields)
    brief = {"AccessKey ID。", "AccessKey Secret。"}
    for row in rows:
        description = CELL.split(row)[5].strip()
        assert HANZI.search(description) or description in brief, row


def test_a_new_key_needs_a_chinese_text(texts: dict[str, Any]) -> None:
    hash_, _ = texts["Server"].pop("listen")
    [mistake] = mistakes(texts)
    assert mistake.startswith(f'Server.listen has no Chinese text; write listen: [{hash_}, "…"] for: Public address, ')


def test_a_changed_english_text_needs_another_chinese_one(texts: dict[str, Any]) -> None:
    hash_, chinese = texts["StsRole"]["role_arn"]
    texts["StsRole"]["role_arn"] = ["00000000", chinese]
    [mistake] = mistakes(texts)
    assert mistake.startswith(f"StsRole.role_arn has another English text now; write role_arn: [{hash_}, ")


def test_a_removed_key_leaves_no_text(texts: dict[str, Any]) -> None:
    texts["Tls"]["ciphers"] = ["00000000", "加密套件。"]
    texts["Quic"] = {"port": ["00000000", "端口。"]}
    assert mistakes(texts) == [
        "Tls has 'ciphers', which the page does not; remove it",
        "Quic has 'port', which the page does not; remove it",
    ]


def test_a_new_sentence_of_the_page_needs_chinese(texts: dict[str, Any]) -> None:
    del texts["words"]["All types have:"]
    assert mistakes(texts) == ["words has no 'All types have:'; add it with its Chinese text"]
