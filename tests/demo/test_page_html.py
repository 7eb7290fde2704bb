"""The table of the upload page's texts, and the choice of a language."""

from __future__ import annotations

import re

import pytest

from signer.demo.page_html import page_texts, preferred_language
from tests.harness.processes import ROOT

DEMO = ROOT / "signer" / "demo"
SOURCES = [DEMO / "templates" / "upload_page.html", *(DEMO / "page").glob("*.js")]
PLACEHOLDER = re.compile(r"\{\w+\}")
HANZI = r"[\u4e00-\u9fff]"
ACTION = re.compile(r'data-action="(\w+)"')
NAME_IN_QUOTES = re.compile(r'"(\w+)"')
NAME_IN_TEMPLATE = re.compile(r"\{\{ texts\.(\w+) \}\}")


def test_both_languages_have_the_same_texts_with_the_same_placeholders() -> None:
    for name, texts in page_texts().items():
        assert list(texts) == ["en", "zh-CN"], name
        assert all(texts.values()), name
        english, chinese = (set(PLACEHOLDER.findall(text)) for text in texts.values())
        assert english == chinese, name


def test_the_table_has_the_texts_that_the_page_uses_and_no_others() -> None:
    template, *modules = [path.read_text(encoding="utf-8") for path in SOURCES]
    rendered = set(NAME_IN_TEMPLATE.findall(template))
    shown = {name for module in modules for name in NAME_IN_QUOTES.findall(module)}
    actions = {f"{action}_file" for action in ACTION.findall(template)}
    called = {name for module in modules for name in re.findall(r'\btext\("(\w+)"', module)}
    names = set(page_texts())
    assert rendered | called | actions <= names
    assert names <= rendered | shown | actions


def test_chinese_texts_have_full_width_punctuation_and_spaces_around_latin_words() -> None:
    for name, texts in page_texts().items():
        text = texts["zh-CN"]
        assert not re.search(rf"{HANZI}\s*[,;:!?()\"]|[,;:!?()\"]\s*{HANZI}|\.\.\.", text), name
        assert not re.search(rf"{HANZI}[A-Za-z0-9{{]|[A-Za-z0-9]{HANZI}", text), name
        assert not re.search(rf"\}}(?:{HANZI})", text) or "{message}" in text, name


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("zh-Hant-TW", "zh-CN"),
        ("ZH", "zh-CN"),
        ("fr, zh;q=0.5, en;q=0.3", "zh-CN"),
        ("en-GB,en;q=0.9,zh-CN;q=0.8", "en"),
        ("zh;q=0, en;q=0.1", "en"),
        ("zh;q=often, en;q=0.1", "en"),
        ("fr", "en"),
        ("*", "en"),
        ("zhuang", "en"),
        ("", "en"),
    ],
)
def test_the_preferred_language_has_the_highest_weight(header: str, language: str) -> None:
    assert preferred_language(header) == language
