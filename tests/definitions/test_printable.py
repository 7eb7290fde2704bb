"""Printed definitions, their differences and the warnings show no secret, wherever it is in the YAML."""

from __future__ import annotations

import pytest

from signer.definitions.diff import describe_changes, printable_sections
from signer.definitions.mistakes import BadDefinitions
from signer.definitions.parser import parse
from signer.definitions.registry import Registry
from signer.definitions.warnings import find_warnings

SECRET, OTHER = "Hunter_Two_of_the_test", "Hunter_Three_of_the_test"


def definitions(app: str, top: str = "", environ: dict[str, str] | None = None) -> Registry:
    text = f"""version: 1
credentials: {{r: {{type: ecs_ram_role}}}}
defaults: {{region: cn-hangzhou, credentials: r, rate_limit: {{per_caller: 1/s}}}}
{top}
apps:
  a: {{bucket: photos, key_prefix: "p/", {app}}}
"""
    return parse({"a.yaml": text}, environ or {})


CALLERS = "callers: [{{type: wechat, secret: '{0}'}}, {{type: jwt, secret: '{0}-more-than-32-characters'}}]"


def test_secrets_in_lists_are_masked() -> None:
    old, new = (definitions(CALLERS.format(secret)) for secret in (SECRET, OTHER))
    shown = printable_sections(old)["apps.a"]["callers"]
    assert shown == '[{"type": "wechat", "secret": "***"}, {"type": "jwt", "secret": "***"}]'
    assert describe_changes(old, new) == [f"~ apps.a: callers {shown} has another value"]


def test_references_in_lists_are_shown_as_written() -> None:
    callers = "callers: [{type: wechat, secret: '${WX}'}, {type: jwt, secret: '${JWT:-x}'}]"
    shown = printable_sections(definitions(callers, environ={"WX": SECRET, "JWT": SECRET * 8}))["apps.a"]["callers"]
    assert shown == '[{"type": "wechat", "secret": "${WX}"}, {"type": "jwt", "secret": "***"}]'


@pytest.mark.parametrize(
    ("limits", "shown"),
    [
        ("${R}", "${R}"),
        (f"redis://:{SECRET}@redis:6379/0", "***"),
        ("redis://${P:-x}@redis", "***"),
        (f"redis+sentinel://redis/main?sentinel_password={SECRET}", "***"),
    ],
)
def test_a_secret_top_level_key_is_masked(limits: str, shown: str) -> None:
    registry = definitions("name: x", top=f"limits: {limits}", environ={"R": f"redis://:{SECRET}@redis", "P": SECRET})
    assert printable_sections(registry)["limits"] == {"value": shown}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ann:Hunter@example.com/x", "https://***@example.com/x"),
        ("redis+sentinel://a,b/x?sentinel_password=Hunter&db=1", "redis+sentinel://a,b/x?sentinel_password=***&db=1"),
        ("redis://a/0?password=Hunter", "redis://a/0?password=***"),
    ],
)
def test_the_password_of_a_url_is_masked(url: str, shown: str) -> None:
    registry = definitions(f"name: '{url}'")
    assert printable_sections(registry)["apps.a"]["name"] == shown


@pytest.mark.parametrize(
    "url", [f"redis://:{SECRET}@redis:6379/0", f"redis+sentinel://redis/main?sentinel_password={SECRET}"]
)
def test_secrets_in_clear_are_warned_of_also_in_lists(url: str) -> None:
    top = f"limits: {url}\nserver: {{callback_queue: /var/lib/oss-signer/callbacks.db}}"
    found = [str(each) for each in find_warnings(definitions(CALLERS.format(SECRET), top))]
    warnings = [each for each in found if "the secret itself is in this file" in each]
    assert [each.split()[1] for each in warnings] == [
        "limits:",
        "apps.a.callers[0].secret:",
        "apps.a.callers[1].secret:",
    ]
    assert not any(SECRET in each for each in found)


@pytest.mark.parametrize("key", ["limits: '{0}'", "server: {{callback_queue: '{0}'}}"])
@pytest.mark.parametrize("url", [f"redis://:a/{SECRET}@redis:6379/0", f"redis+sentinel://:{SECRET}@redis:26379"])
def test_a_redis_url_with_a_mistake_is_rejected_without_its_password(key: str, url: str) -> None:
    with pytest.raises(BadDefinitions) as raised:
        definitions("name: x", top=key.format(url))
    assert SECRET not in str(raised.value)
    assert "this is not the URL of a Redis; write redis" in str(raised.value)
