"""The recipes of docs/uploaders.md, with the addresses and keys of the tests."""

from __future__ import annotations

import re

from tests.harness.processes import ROOT
from tests.uploaders.place import API_KEY

PAGE = ROOT / "docs/uploaders.md"
CHINESE_PAGE = ROOT / "docs/uploaders.zh-CN.md"


def recipe(title: str, language: str) -> str:
    """Return the only block of a language below a heading."""
    sections = re.split(r"^#+ ", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    [section] = [each for each in sections if each.startswith(f"{title}\n")]
    [code] = re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return str(code)


def for_app(code: str, app: str) -> str:
    """Replace what a reader replaces: the addresses, the key and the user."""
    url, _, app_id = app.rpartition("/v1/apps/")
    for written, real in {"https://sign.example.com": url, "APP_ID": app_id, "API_KEY": API_KEY, "USER": "ann"}.items():
        code = code.replace(written, real)
    return code
