"""Each document that exists in two languages has the same headings, code, tables and links in both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.harness.processes import ROOT

CHINESE = sorted([*ROOT.glob("*.zh-CN.md"), *ROOT.glob("docs/*.zh-CN.md"), *ROOT.glob("miniprogram/*/*.zh-CN.md")])
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"(^|\s+)(#|//) .*|\s*<!--.*?-->")
HANZI = re.compile("[\u3000-\u303f\u3400-\u9fff\uff00-\uffef]")
TEXT = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|>[^<>]*<")
"""A string literal, or the text of an HTML element."""


class Block(NamedTuple):
    language: str
    lines: list[str]


class Outline(NamedTuple):
    """What both languages have in common."""

    headings: list[str]
    blocks: list[Block]
    tables: list[list[tuple[str, ...]]]
    """For each table, the code in the first cell of each row."""
    links: list[str]


def outline(document: Path) -> Outline:
    text = document.read_text(encoding="utf-8")
    blocks = [Block(language, list(code_lines(body))) for _, language, body in BLOCK.findall(text)]
    prose = BLOCK.sub("", text)
    headings = [line.split()[0] for line in prose.splitlines() if line.startswith("#")]
    return Outline(headings, blocks, list(tables(prose)), list(links(prose)))


def code_lines(body: str) -> Iterator[str]:
    """Yield the lines without their comments."""
    for line in body.splitlines():
        code = COMMENT.sub("", line).rstrip()
        if code or not line.strip():
            yield code


def tables(prose: str) -> Iterator[list[tuple[str, ...]]]:
    for table in re.findall(r"(?:^\|.*\n?)+", prose, re.MULTILINE):
        cells = [re.split(r"(?<!\\)\|", row)[1] for row in table.splitlines()]
        yield [tuple(re.findall(r"`+[^`]+`+", cell)) for cell in cells]


def links(prose: str) -> Iterator[str]:
    """Yield the targets without anchors; the two languages of a page count as one."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        path = target.partition("#")[0].replace(".zh-CN", "")
        # Alibaba's help pages have an address for each language.
        yield re.sub(r"https://www\.alibabacloud\.com/help/en/", "https://help.aliyun.com/zh/", path)


def is_same_code(english: str, chinese: str) -> bool:
    """Return whether two lines differ at most in texts that are Chinese in one of them."""
    if english == chinese:
        return True
    return HANZI.search(chinese) is not None and TEXT.sub("''", english) == TEXT.sub("''", chinese)


def test_what_operators_and_developers_read_is_in_both_languages() -> None:
    names = ("from-zero", "configuration", "deploying", "operating", "miniprogram", "uploaders", "callers", "doctor")
    assert {ROOT / "README.zh-CN.md", *(ROOT / f"docs/{name}.zh-CN.md" for name in names)} <= set(CHINESE)


def test_chinese_pages_link_to_chinese_pages() -> None:
    for document in CHINESE:
        for target in re.findall(
            r"(?<!\[English\])\((?!https?:)([^)#\s]+)\.md[)#]", document.read_text(encoding="utf-8")
        ):
            assert not (document.parent / f"{target}.zh-CN.md").exists(), f"{document.name}: {target}.md"


@pytest.mark.parametrize("document", CHINESE, ids=lambda path: str(path.relative_to(ROOT)))
def test_both_languages_have_the_same_structure(document: Path) -> None:
    chinese = outline(document)
    english = outline(document.with_name(document.name.replace(".zh-CN", "")))
    assert chinese.headings == english.headings
    assert [block.language for block in chinese.blocks] == [block.language for block in english.blocks]
    for ours, theirs in zip(english.blocks, chinese.blocks, strict=True):
        assert len(ours.lines) == len(theirs.lines), (ours, theirs)
        different = [pair for pair in zip(ours.lines, theirs.lines, strict=True) if not is_same_code(*pair)]
        assert not different
    assert chinese.tables == english.tables
    assert sorted(chinese.links) == sorted(english.links)


@pytest.mark.parametrize("document", CHINESE, ids=lambda path: str(path.relative_to(ROOT)))
def test_chinese_has_its_own_punctuation_and_spaces(document: Path) -> None:
    prose = re.sub(r"`[^`]*`", "code", BLOCK.sub("", document.read_text(encoding="utf-8")))
    prose = re.sub(r"\]\([^)]*\)", "]", prose)
    assert not re.findall(r".*[\u4e00-\u9fff][A-Za-z0-9].*|.*[A-Za-z0-9][\u4e00-\u9fff].*", prose), "a space is missing"
    assert not re.findall(r".*[\u4e00-\u9fff][,;:!?()].*|.*[,;:!?()] ?[\u4e00-\u9fff].*", prose), "write ，。：；“”（）"


@pytest.mark.parametrize(
    ("english", "chinese", "is_same"),
    [
        ("a: 1", "a: 1", True),
        ("a: 1", "a: 2", False),
        ("say('Uploaded')", "say('上传成功')", True),
        ("say('Uploaded')", "tell('上传成功')", False),
        ("say('Uploaded')", "say('Sent')", False),
        ("<button>Upload</button>", "<button>上传</button>", True),
        ("oss-signer check --config a", "oss-signer 检查 --config a", False),
    ],
)
def test_only_texts_are_translated_in_code(english: str, chinese: str, is_same: bool) -> None:
    assert is_same_code(english, chinese) is is_same
