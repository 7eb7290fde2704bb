"""Addresses of others are used as they are written, with the characters that public services have in theirs."""

from __future__ import annotations

from typing import Any

import pytest

from signer.definitions.diff import describe_changes
from signer.definitions.mistakes import BadDefinitions
from signer.definitions.parser import parse
from signer.definitions.registry import App

APP = """
version: 1
server: {callback_queue: queue.db}
credentials: {r: {type: ecs_ram_role}}
defaults: {bucket: photos, region: cn-hangzhou, credentials: r}
apps: {a: {key_prefix: p/, %s}}
"""
NOTIFY = (
    'callback: {url: "https://sign.example.com/v1/apps/a/callback", '
    'body: "bucket=${bucket}&object=${object}&etag=${etag}", notify: {secret: 0123456789abcdef0123456789abcdef, url: "%s"}}'
)


def app_with(setting: str) -> App:
    return parse({"a.yaml": APP % setting}, {}).apps["a"]


@pytest.mark.parametrize(
    "url",
    [
        "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
        "https://tenant.b2clogin.com/tenant.onmicrosoft.com/discovery/v2.0/keys?p=B2C_1_signin",
        "https://login.example.com/realms/My%20Realm/protocol/openid-connect/certs",
        "https://login.example.com/keys;v=2,3?a=b&c=d",
    ],
)
def test_a_key_set_may_be_at_any_address(url: str) -> None:
    callers: Any = app_with(f'callers: {{type: jwt, jwks_url: "{url}"}}').callers[0]
    assert callers.jwks_url == url


def test_events_may_be_posted_to_a_url_with_a_query() -> None:
    url = "https://api.example.com/hooks/oss,v2?source=wx&channel=a@b"
    callback = app_with(NOTIFY % url).callback
    assert callback is not None and callback.notify is not None
    assert callback.notify.url == url


def test_the_token_of_a_webhook_is_not_shown() -> None:
    url = "https://api.example.com/hook?channel=a&%s=very-secret&x=1"
    for name in ("token", "access_token", "secret", "sign", "signature", "code", "api_key", "apikey"):
        before, after = (
            parse({"a.yaml": APP % (NOTIFY % text)}, {}) for text in (url % name, "https://b.example.com/")
        )
        assert "very-secret" not in "".join(describe_changes(before, after))
        with pytest.raises(BadDefinitions) as raised:
            app_with(NOTIFY % f"{url % name}#fragment")
        assert "very-secret" not in str(raised.value)


def test_oss_may_call_a_url_with_a_query() -> None:
    setting = 'callback: {url: "https://a.example.com/cb?shop=1; https://b.example.com/cb?shop=1", body: "k=${object}"}'
    field = app_with(setting).rules.callback
    assert field is not None and field.urls == ("https://a.example.com/cb?shop=1", "https://b.example.com/cb?shop=1")


@pytest.mark.parametrize("origin", ["capacitor://localhost", "ionic://localhost", "tauri://localhost"])
def test_apps_of_frameworks_have_origins(origin: str) -> None:
    assert app_with(f'cors_origins: ["{origin}"]').cors_origins == {origin}


@pytest.mark.parametrize(
    "origin", ["http://localhost:*", "https://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"]
)
def test_origins_of_the_own_machine_may_have_any_port(origin: str) -> None:
    assert app_with(f'cors_origins: ["{origin}"]').cors_origins == {origin}


@pytest.mark.parametrize(
    "origin", ["https://h5.example.com:*", "http://*:5173", "http://localhost:51*", "http://*.example.com"]
)
def test_no_other_origin_may_have_a_wildcard(origin: str) -> None:
    with pytest.raises(BadDefinitions, match="is not an origin"):
        app_with(f'cors_origins: ["{origin}"]')
