"""Printed definitions, their differences and the warnings show no secret, wherever it is in the YAML."""

from __future__ import annotations

import pytest

from signer.definitions.diff import describe_changes, printable_sections
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
    callers = "callers: [{type: wechat, secret: '${WX}'}, {type: wechat, secret: '${WX:-x}'}]"
    shown = printable_sections(definitions(callers, environ={"WX": SECRET}))["apps.a"]["callers"]
    assert shown == '[{"type": "wechat", "secret": "${WX}"}, {"type": "wechat", "secret": "***"}]'


@pytest.mark.parametrize(
    ("limits", "shown"),
    [("${R}", "${R}"), (f"redis://:{SECRET}@redis:6379/0", "***"), ("redis://${R:-x}@redis", "***")],
)
def test_a_secret_top_level_key_is_masked(limits: str, shown: str) -> None:
    registry = definitions("name: x", top=f"limits: {limits}", environ={"R": SECRET})
    assert printable_sections(registry)["limits"] == {"value": shown}


def test_the_password_of_a_url_is_masked() -> None:
    registry = definitions("name: 'https://ann:Hunter@example.com/x'")
    assert printable_sections(registry)["apps.a"]["name"] == "https://***@example.com/x"


def test_secrets_in_clear_are_warned_of_also_in_lists() -> None:
    top = f"limits: redis://:{SECRET}@redis:6379/0\nserver: {{callback_queue: /var/lib/oss-signer/callbacks.db}}"
    warnings = [str(each) for each in find_warnings(definitions(CALLERS.format(SECRET), top))]
    assert [each.split()[1] for each in warnings] == [
        "limits:",
        "apps.a.callers[0].secret:",
        "apps.a.callers[1].secret:",
    ]
    assert all("the secret itself is in this file" in each and SECRET not in each for each in warnings)
