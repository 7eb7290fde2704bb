"""Parsing again after an edit gives the same as parsing for the first time, whatever failed in between."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signer.definitions.mistakes import BadDefinitions
from signer.definitions.parser import Parser, parse
from tests.definitions.registry_content import content_of

Files = dict[str, str]

ENVIRON = {"KEY": "LTAI-x", "SECRET": "Hunter2-of-the-test"}
BASE = """version: 1
credentials:
  r: {type: ecs_ram_role}
  s: {type: assume_role, role_arn: 'acs:ram::1:role/x', access_key_id: '${KEY}', access_key_secret: '${SECRET}'}
"""
DEFAULTS = (
    "",
    "defaults: {region: cn-hangzhou, credentials: r}\n",
    "defaults: {region: cn-shanghai, credentials: s}\n",
)
APPS = (
    "{key_prefix: '', bucket: photos, region: cn-hangzhou, credentials: r}",
    "{bucket: photos, key_prefix: 'p/', rate_limit: {per_caller: 5/s}}",
    "{key_prefix: '', bucket: others, credentials: s, enabled: false}",
    "{key_prefix: '', bucket: ${BUCKET:-photos}}",
    "{key_prefix: '', bucket: Broken}",
    "{key_prefix: '', bucket: photos, credentials: nobody}",
    "not: {closed",
)


@st.composite
def edits(draw: st.DrawFn) -> Files:
    """Return a directory of two files; some are valid, some have a mistake."""
    base = BASE + draw(st.sampled_from(DEFAULTS)) + draw(st.sampled_from(("", "default_app: a\n", "oops: 1\n")))
    names = draw(st.lists(st.sampled_from("abcd"), unique=True))
    apps = "".join(f"  {name}: {draw(st.sampled_from(APPS))}\n" for name in names)
    return {"base.yaml": base, "apps.yaml": f"apps:\n{apps}" if apps else "apps: {}\n"}


def outcome(parser: Parser, files: Files) -> object:
    """Return the content of the registry, or the mistakes."""
    try:
        return content_of(parser.parse(files, ENVIRON))
    except BadDefinitions as error:
        return error.mistakes


@settings(max_examples=150, deadline=None)
@given(st.lists(edits(), min_size=2, max_size=6))
def test_parsing_again_gives_the_same_as_a_new_parser(states: list[Files]) -> None:
    parser = Parser()
    for files in states:
        assert outcome(parser, files) == outcome(Parser(), files)


def test_unchanged_apps_are_not_parsed_again() -> None:
    files = {
        "base.yaml": BASE + DEFAULTS[1],
        "a.yaml": "apps: {a: {key_prefix: '', bucket: photos}}",
        "b.yaml": "apps: {b: {key_prefix: '', bucket: bbb}}",
    }
    parser = Parser()
    first = parser.parse(files, ENVIRON)
    with pytest.raises(BadDefinitions):
        parser.parse({**files, "b.yaml": "apps: {b: {key_prefix: '', bucket: B}}"}, ENVIRON)
    second = parser.parse({**files, "b.yaml": "apps: {b: {key_prefix: '', bucket: bbc}}"}, ENVIRON)
    assert second.apps["a"] is first.apps["a"]
    assert (first.apps["b"].rules.bucket, second.apps["b"].rules.bucket) == ("bbb", "bbc")


def test_a_changed_variable_changes_the_values_that_refer_to_it() -> None:
    files = {
        "a.yaml": BASE
        + DEFAULTS[1]
        + "apps: {a: {key_prefix: '', bucket: '${BUCKET}'}, b: {key_prefix: '', bucket: plain}}"
    }
    parser = Parser()
    assert parser.parse(files, {**ENVIRON, "BUCKET": "one"}).apps["a"].rules.bucket == "one"
    assert parser.parse(files, {**ENVIRON, "BUCKET": "two"}).apps["a"].rules.bucket == "two"
    with pytest.raises(BadDefinitions):
        parser.parse(files, ENVIRON)
    assert parser.parse(files, {**ENVIRON, "BUCKET": "two"}).apps["a"].rules.bucket == "two"


def test_a_new_app_without_keys_is_validated() -> None:
    parser = Parser()
    files = {"a.yaml": BASE + DEFAULTS[1] + "apps:\n  a: {key_prefix: '', bucket: photos}\n"}
    parser.parse(files, ENVIRON)
    with pytest.raises(BadDefinitions, match=r"apps\.b: the value is empty"):
        parser.parse({"a.yaml": files["a.yaml"] + "  b:\n"}, ENVIRON)


def test_changed_defaults_and_credentials_reach_every_app() -> None:
    apps = {
        "apps.yaml": "apps: {a: {key_prefix: '', bucket: photos}, b: {key_prefix: '', bucket: others, region: cn-beijing}}"
    }
    parser = Parser()
    for defaults in (DEFAULTS[1], DEFAULTS[2], DEFAULTS[1]):
        files = {"base.yaml": BASE + defaults, **apps}
        assert content_of(parser.parse(files, ENVIRON)) == content_of(parse(files, ENVIRON))
