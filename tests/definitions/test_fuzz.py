"""Thousands of broken definitions: no traceback, no partly accepted edit, no secret in a message.

20,000 cases, or FUZZ_CASES; FUZZ_SEED selects other mutations.
"""

from __future__ import annotations

import asyncio
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
from tests.definitions.byte_mutations import LITERAL, mutated
from tests.definitions.registry_content import content_of
from tests.definitions.structured_definitions import APPS, DOCUMENT, VALUES
from tests.definitions.test_parse import FULL
from tools.full_example import full_example

MANY_CASES = int(os.environ.get("FUZZ_CASES", "20000"))
CASES = [pytest.param(MANY_CASES // 10, id="few"), pytest.param(MANY_CASES, marks=pytest.mark.slow, id="many")]
SEED = os.environ.get("FUZZ_SEED", "0")
HANG_SECONDS = 120.0
FULL_COMPARISON_EVERY, NEW_PARSER_EVERY = 100, 10
"""Warnings and places take ten times as long as parsing."""

REFERRED = "Hunter_Two!_of_the_environment"
ENVIRON = {
    "AK": "LTAI-x",
    "SECRET": REFERRED,
    "OSS_ACCESS_KEY_ID": "LTAI-y",
    "OSS_ACCESS_KEY_SECRET": REFERRED,
    "OSS_STS_ROLE_ARN": "acs:ram::1234567890123456:role/oss-upload",
    "ADMIN_TOKEN": REFERRED,
    "SIGNER_SECRET": 2 * REFERRED,
    "NOTIFY_SECRET": REFERRED,
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
  a: {{key_prefix: '', bucket: photos, region: cn-hangzhou, credentials: fixed}}
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
    key_prefix: a/
    rate_limit: *l
    content_types: &t
      - image/png
  b: {key_prefix: '', bucket: others, content_types: *t}
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


def compiled(registry: Registry) -> tuple[Any, ...]:
    return registry.server, dict(registry.apps), dict(registry.roles), registry.default_app


def check_report(error: BadDefinitions, files: dict[str, str]) -> None:
    """Assert that each place is inside its file, and that no secret is printed."""
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


def read_with_the_store(directory: Path, data: bytes) -> str | None:
    """Return the text that the file store reads; for some cases only, because files are slow."""
    file = directory / "signer.yaml"
    file.write_bytes(data)
    try:
        return asyncio.run(FileStore(file).load()).files[str(file)]
    except CannotRead as error:
        assert LITERAL not in str(error)
        return None


class Subject:
    """A parser that has accepted valid definitions; each edit is followed by the valid text again."""

    def __init__(self, valid: dict[str, str]) -> None:
        self.valid = valid
        self.parser = Parser()
        self.before = self.parser.parse(valid, ENVIRON)
        self.all_before = content_of(self.before)
        self.edits = 0

    def edit(self, files: dict[str, str]) -> Registry | None:
        """Return the registry of an edit; None if it was rejected."""
        started = time.monotonic()
        self.edits += 1
        registry = None
        try:
            registry = self.parser.parse(files, ENVIRON)
        except BadDefinitions as error:
            check_report(error, files)
        else:
            assert {app.role for app in registry.apps.values()} == set(registry.roles)
            assert registry.default_app is None or registry.default_app in registry.apps
            if self.edits % NEW_PARSER_EVERY == 0:
                assert content_of(registry) == content_of(Parser().parse(files, ENVIRON))
        again = self.parser.parse(self.valid, ENVIRON)
        assert compiled(again) == compiled(self.before)
        if self.edits % FULL_COMPARISON_EVERY == 0:
            assert content_of(again) == self.all_before
        assert time.monotonic() - started < HANG_SECONDS
        return registry


@pytest.mark.parametrize("cases", CASES)
@pytest.mark.parametrize("base", BASES)
def test_mutated_bytes(base: str, cases: int, tmp_path: Path) -> None:
    """Random edits of the bytes of a file."""
    data = BASES[base].encode()
    subject = Subject({"signer.yaml": BASES[base]})
    outcomes = {"accepted": 0, "rejected": 0, "unreadable": 0}
    case = 0
    while subject.edits < cases // len(BASES):
        case += 1
        broken = mutated(random.Random(f"{SEED} {base} {case}"), data)
        try:
            text = read_with_the_store(tmp_path, broken) if case % 20 == 0 else decoded(broken)
            if text is None:
                outcomes["unreadable"] += 1
            else:
                outcomes["rejected" if subject.edit({"signer.yaml": text}) is None else "accepted"] += 1
        except BaseException as error:
            error.add_note(f"FUZZ_SEED={SEED}, {base}, case {case}: {broken!r}")
            raise
    # Mutations that are all accepted or all rejected would find nothing.
    assert all(count > subject.edits / 100 for count in (outcomes["accepted"], outcomes["rejected"])), outcomes


VALID = {"a.yaml": FULL, "b.yaml": "apps: {c: {key_prefix: '', bucket: photos, credentials: uploader}}\n"}
STRUCTURED = Subject(VALID)


def as_yaml(document: Any) -> str:
    text: str = yaml.safe_dump(document, allow_unicode=True, sort_keys=False)
    return text


def structured_cases(cases: int) -> settings:
    """Return the settings for fewer cases than there are of bytes, because hypothesis needs long to make one."""
    return settings(
        max_examples=max(cases // 10, 1), deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )


STRUCTURES = given(DOCUMENT | VALUES, st.sampled_from([as_yaml, json.dumps]), APPS | st.none())


def edit_structure(document: Any, write: Callable[[Any], str], more: Any) -> None:
    files = {"a.yaml": write(document), **({} if more is None else {"b.yaml": write({"apps": more})})}
    STRUCTURED.edit(files)


@structured_cases(MANY_CASES // 10)
@STRUCTURES
def test_structured_definitions(document: Any, write: Callable[[Any], str], more: Any) -> None:
    """Random structures, in one file or in a directory of two."""
    edit_structure(document, write, more)


@pytest.mark.slow
@structured_cases(MANY_CASES)
@STRUCTURES
def test_many_structured_definitions(document: Any, write: Callable[[Any], str], more: Any) -> None:
    """Random structures, in one file or in a directory of two."""
    edit_structure(document, write, more)


@settings(max_examples=300, deadline=None, database=None)
@given(st.text(max_size=400) | st.text(alphabet="version:1{}[]-&*!|>'\"\n\t #ab", max_size=400))
def test_any_text(text: str) -> None:
    STRUCTURED.edit({"a.yaml": text})
