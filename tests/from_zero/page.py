"""What docs/from-zero.md shows: its commands, definitions, documents and tables."""

from __future__ import annotations

import re

import yaml

from tests.from_zero.aliyun_cli import Call, parse_command
from tests.harness.processes import ROOT

TEXT = (ROOT / "docs/from-zero.md").read_text(encoding="utf-8")
OUR_COMMAND = "/opt/oss-signer/bin/oss-signer "
SIGN, UPLOAD = "https://sign.example.com", "https://upload.example.com"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


COMMANDS = [line for body in blocks("sh") for line in body.replace("\\\n", " ").splitlines()]
[DEFINITIONS] = blocks("yaml")
[APP_ID] = yaml.safe_load(DEFINITIONS)["apps"]
APP = yaml.safe_load(DEFINITIONS)["apps"][APP_ID]
FILES = dict(zip(("trust.json", "policy.json"), blocks("json"), strict=True))
CALLS = [parse_command(line, FILES) for line in COMMANDS if line.startswith("aliyun ")]


def table_codes(heading: str) -> set[str]:
    """Return the codes in the first column of the tables of a step."""
    [section] = [each for each in re.split(r"^## ", TEXT, flags=re.MULTILINE) if each.startswith(heading)]
    rows = re.findall(r"^\|([^|\n]*)\|", section, re.MULTILINE)
    return {code for row in rows for code in re.findall(r"`([^`]+)`", row)}


def calls(name: str) -> list[Call]:
    found = [call for call in CALLS if call.name == name]
    assert found, name
    return found


def option(name: str, key: str) -> str:
    """Return the option of a command that the page has once."""
    [call] = calls(name)
    return call.options[key]


def ours(name: str) -> str:
    [command] = [line for line in COMMANDS if line.startswith(f"{OUR_COMMAND}{name} ")]
    return command
