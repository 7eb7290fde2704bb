"""Broken definitions by the thousand: never a traceback, never half of an edit in force, never a secret in the words.

20,000 cases in all, or FUZZ_CASES; FUZZ_SEED starts the byte-level ones elsewhere.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signer.definitions.mistake_report import render_mistakes
from signer.definitions.mistakes import BadDefinitions
from signer.definitions.parser import Parser
from signer.definitions.registry import Registry
from signer.stores.file import FileStore
from signer.stores.protocol import CannotRead
from tests.definitions.comparing import all_of
from tests.definitions.mutations import LITERAL, mutated
from tests.definitions.structures import APPS, DOCUMENT, VALUES
from tests.definitions.test_parse import FULL
from tools.full_example import full_example

CASES = int(os.environ.get("FUZZ_CASES", "20000"))
STRUCTURED_CASES = max(CASES // 10, 1)
"""Making one takes hypothesis longer than reading it takes us."""
SEED = os.environ.get("FUZZ_SEED", "0")
HANG_SECONDS = 20.0
FULL_COMPARISON_EVERY, FRESH_READING_EVERY = 100, 10
"""Warnings and their places take ten times as long as the reading itself."""

REFERRED = "Hunter_Two!_of_the_environment"
ENVIRON = {
    "AK": "LTAI-x",
    "SECRET": REFERRED,
    "OSS_ACCESS_KEY_ID": "LTAI-y",
    "OSS_ACCESS_KEY_SECRET": REFERRED,
    "OSS_STS_ROLE_ARN": "acs:ram::1234567890123456:role/oss-upload",
}
IN_CLEAR = f"""\
version: 1
credentials:
  "fixed": {{type: static, access_key_id: LTAI-x, access_key_secret: '{LITERAL}', security_token: &t {LITERAL}}}
  block:
    type: assume_role
    role_arn: acs:ram::1:role/x
    access_key_id: LTAI-x
    access_key_secret: >-
      {LITERAL}
apps:
  a: {{bucket: photos, region: cn-hangzhou, credentials: fixed}}
  b: {{bucket: photos, region: cn-hangzhou, credentials: block, key_prefix: "照片/{{yyyy}}/"}}
"""
ALIASES = """\
%YAML 1.1
---
version: 1   # anchors and comments
credentials: &all
  r: {type: ecs_ram_role}
defaults: &d {region: cn-hangzhou, credentials: r, rate_limit: &l {per_app: 5/s}}
apps:
  ? a
  : bucket: photos
    rate_limit: *l
    content_types: &t
      - image/png
  b: {bucket: others, content_types: *t}
...
"""
BASES = {
    "full": FULL,
    "example": full_example(),
    "in-clear": IN_CLEAR,
    "aliases": ALIASES,
    "crlf": IN_CLEAR.replace("\n", "\r\n"),
    "json": json.dumps(yaml.safe_load(IN_CLEAR.replace("&t ", "")), ensure_ascii=False),
}


def in_force(registry: Registry) -> tuple[Any, ...]:
    return registry.server, dict(registry.apps), dict(registry.roles), registry.default_app


def check_words(error: BadDefinitions, files: dict[str, str]) -> None:
    """Each place is inside its file, and no word is a secret."""
    assert error.mistakes
    lines = {name: re.split("\r\n|[\n\r\x85\u2028\u2029]", text.removeprefix("\ufeff")) for name, text in files.items()}
    for mistake in error.mistakes:
        place = mistake.place
        assert 1 <= place.line <= len(lines[place.file]), mistake
        assert 1 <= place.column <= len(lines[place.file][place.line - 1]) + 1, mistake
        assert "\n" not in mistake.message
    shown = render_mistakes(error.mistakes)
    for secret in (LITERAL, REFERRED):
        assert secret not in str(error)
        assert secret not in shown


def decoded(data: bytes) -> str | None:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def read_by_the_store(directory: Path, data: bytes) -> str | None:
    """The same by way of a file; for some cases only, since files are slow."""
    file = directory / "signer.yaml"
    file.write_bytes(data)
    try:
        return FileStore(file).read().files[str(file)]
    except CannotRead as error:
        assert LITERAL not in str(error)
        return None


class Subject:
    """A parser that has read something good; each edit is followed by the good text again."""

    def __init__(self, good: dict[str, str]) -> None:
        self.good = good
        self.parser = Parser()
        self.before = self.parser.read(good, ENVIRON)
        self.all_before = all_of(self.before)
        self.edits = 0

    def edit(self, files: dict[str, str]) -> Registry | None:
        """What the edit gave; None when it was refused."""
        started = time.monotonic()
        self.edits += 1
        registry = None
        try:
            registry = self.parser.read(files, ENVIRON)
        except BadDefinitions as error:
            check_words(error, files)
        else:
            assert {app.role for app in registry.apps.values()} == set(registry.roles)
            assert registry.default_app is None or registry.default_app in registry.apps
            if self.edits % FRESH_READING_EVERY == 0:
                assert all_of(registry) == all_of(Parser().read(files, ENVIRON))
        again = self.parser.read(self.good, ENVIRON)
        assert in_force(again) == in_force(self.before)
        if self.edits % FULL_COMPARISON_EVERY == 0:
            assert all_of(again) == self.all_before
        assert time.monotonic() - started < HANG_SECONDS
        return registry


@pytest.mark.parametrize("base", BASES)
def test_mutated_bytes(base: str, tmp_path: Path) -> None:
    """What an editor that went mad would save."""
    data = BASES[base].encode()
    subject = Subject({"signer.yaml": BASES[base]})
    outcomes = {"taken": 0, "refused": 0, "unreadable": 0}
    wanted, case = -(-(CASES - STRUCTURED_CASES) // len(BASES)), 0
    while subject.edits < wanted:
        case += 1
        broken = mutated(random.Random(f"{SEED} {base} {case}"), data)
        try:
            text = read_by_the_store(tmp_path, broken) if case % 20 == 0 else decoded(broken)
            if text is None:
                outcomes["unreadable"] += 1
            else:
                outcomes["refused" if subject.edit({"signer.yaml": text}) is None else "taken"] += 1
        except BaseException as error:
            error.add_note(f"FUZZ_SEED={SEED}, {base}, case {case}: {broken!r}")
            raise
    # The mutations must be neither too mild nor too wild to find anything.
    assert all(count > subject.edits / 100 for count in (outcomes["taken"], outcomes["refused"])), outcomes


GOOD = {"a.yaml": FULL, "b.yaml": "apps: {c: {bucket: photos, credentials: uploader}}\n"}
STRUCTURED = Subject(GOOD)


def as_yaml(document: Any) -> str:
    text: str = yaml.safe_dump(document, allow_unicode=True, sort_keys=False)
    return text


@settings(max_examples=STRUCTURED_CASES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(DOCUMENT | VALUES, st.sampled_from([as_yaml, json.dumps]), APPS | st.none())
def test_structured_definitions(document: Any, write: Callable[[Any], str], more: Any) -> None:
    """One file, or a directory of two."""
    files = {"a.yaml": write(document), **({} if more is None else {"b.yaml": write({"apps": more})})}
    STRUCTURED.edit(files)


@settings(max_examples=300, deadline=None, database=None)
@given(st.text(max_size=400) | st.text(alphabet="version:1{}[]-&*!|>'\"\n\t #ab", max_size=400))
def test_any_text(text: str) -> None:
    STRUCTURED.edit({"a.yaml": text})
