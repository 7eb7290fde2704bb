"""Parsing valid definitions, and the registry that they give."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from signer.definitions.caller_model import ApiKeyCallers
from signer.definitions.credential_model import AssumeRole
from signer.definitions.mistakes import BadDefinitions
from signer.definitions.parser import parse
from signer.definitions.quantities import format_duration, parse_duration, parse_rate, parse_size
from signer.errors import AppDisabled, InvalidRequest, UnknownApp

HEAD = "version: 1\ncredentials: {r: {type: ecs_ram_role}}\n"

FULL = """
version: 1
default_app: wx1234567890abcdef
server: {listen: "0.0.0.0:5000", admin: "127.0.0.1:9180"}
credentials:
  uploader: {type: ecs_ram_role, role_name: oss-uploader, endpoint: "http://100.100.100.200"}
  partner:
    type: assume_role
    role_arn: acs:ram::1234567890123456:role/oss-upload
    access_key_id: ${AK}
    access_key_secret: ${SECRET}
    session_name: oss-signer
    duration: 1h
    external_id: tenant-7
    scope: app
    endpoint: https://sts.cn-hangzhou.aliyuncs.com
defaults: {region: cn-hangzhou, expires: 15m, max_size: 20MiB}
apps:
  wx1234567890abcdef:
    name: Photo wall
    enabled: true
    bucket: photos-prod
    region: cn-shanghai
    domain: https://upload.example.com/
    credentials: partner
    key_prefix: photos/{caller}/{yyyy}/{mm}/
    key: client
    expires: 10m
    min_size: 1
    max_size: 10MiB
    content_types: [image/jpeg, image/png]
    success_status: 200
    headers: {X-Oss-Object-Acl: private, x-oss-forbid-overwrite: "true"}
    conditions:
      - [starts-with, $x-oss-meta-team, a]
    callers: {type: api_key, keys: {shop: 67e8302899e9dc9dfa999f77f5e49bf4b70284026748e5b1a31bc1487f3ab778}}
    rate_limit: {per_app: 100/s, per_caller: 30/m}
    cors_origins: [https://h5.example.com]
    callback: {url: https://api.example.com/oss, body: "bucket=${bucket}&object=${object}"}
  plain: {key_prefix: '', bucket: plain-bucket, credentials: uploader}
  off: {key_prefix: '', bucket: plain-bucket, credentials: uploader, enabled: false}
"""
SECRET = "Hunter2!"
ENVIRON = {"AK": "LTAI-x", "SECRET": SECRET}


def test_every_kind_of_key_is_compiled() -> None:
    registry = parse({"full.yaml": FULL}, ENVIRON)
    app = registry.app(None)
    rules = app.rules
    assert (app.id, app.name, rules.bucket, rules.region) == (
        "wx1234567890abcdef",
        "Photo wall",
        "photos-prod",
        "cn-shanghai",
    )
    assert rules.url == "https://upload.example.com"
    assert (rules.expires, rules.max_size_bytes) == (timedelta(minutes=10), 10 * 2**20)
    assert rules.headers == {"x-oss-object-acl": "private", "x-oss-forbid-overwrite": "true"}
    assert rules.conditions == (["starts-with", "$x-oss-meta-team", "a"],)
    assert app.cors_origins == {"https://h5.example.com"}
    assert (app.rate_limit.per_app, app.rate_limit.per_caller) == ((100, 1), (30, 60))
    [callers] = app.callers
    assert isinstance(callers, ApiKeyCallers)
    assert rules.callback is not None
    assert (rules.callback.body, rules.callback.proof_secret) == ("bucket=${bucket}&object=${object}", None)
    entry = registry.roles[app.role].entry
    assert isinstance(entry, AssumeRole)
    assert entry.access_key_secret is not None
    assert (entry.access_key_id, entry.access_key_secret.get_secret_value()) == ("LTAI-x", SECRET)
    policy = json.loads(registry.roles[app.role].session_policy or "")
    assert policy["Statement"][0]["Resource"] == "acs:oss:*:*:photos-prod/photos/*"


def statements(app: str) -> list[dict[str, object]]:
    """Return the session policy of an app with `scope: app`."""
    credentials = """{type: assume_role, scope: app, role_arn: "acs:ram::1234567890123456:role/oss-upload", \
access_key_id: LTAI-x, access_key_secret: "${SECRET}"}"""
    callers = f"{{type: api_key, keys: {{shop: {'ab' * 32}}}}}"
    text = f"""
version: 1
credentials: {{r: {credentials}}}
defaults: {{bucket: photos, region: cn-hangzhou, credentials: r, callers: {callers}}}
apps: {{album: {app}}}
"""
    registry = parse({"a.yaml": text}, {"SECRET": SECRET})
    found: list[dict[str, object]] = json.loads(registry.roles["r/album"].session_policy or "")["Statement"]
    return found


def test_the_session_policy_allows_to_read_exactly_the_prefixes() -> None:
    own, banners, shared = (f"acs:oss:*:*:photos/{prefix}*" for prefix in ("album/", "banners/", "album/public/"))
    put = "oss:PutObject"
    both = [put, "oss:GetObject"]
    for app, expected in (
        ('{key_prefix: "{app}/{caller}/"}', [(put, own)]),
        ('{key_prefix: "{app}/{caller}/", downloads: {}}', [(both, own)]),
        (
            '{key_prefix: "{app}/{caller}/", downloads: {also: [banners/, "{app}/public/"]}}',
            [("oss:GetObject", [banners, shared]), (both, own)],
        ),
        ('{key_prefix: "{app}/{caller}/", deletes: true}', [([put, "oss:DeleteObject"], own)]),
        ("{key_prefix: album/, downloads: {also: [banners/]}}", [("oss:GetObject", banners), (put, own)]),
    ):
        assert [(each["Action"], each["Resource"]) for each in statements(app)] == expected, app
        assert all(each["Effect"] == "Allow" for each in statements(app))


def test_tokens_live_as_long_as_the_urls_of_a_window() -> None:
    text = FULL.replace("apps:", 'apps:\n  album: {key_prefix: "{caller}/", callers: {type: api_key, keys: '
                        f"{{shop: {'ab' * 32}}}}}, bucket: photos, region: cn-hangzhou, credentials: uploader, "
                        "downloads: {expires: 30m, window: 10m}}", 1)  # fmt: skip
    assert parse({"full.yaml": text}, ENVIRON).longest_expires()["uploader"] == timedelta(minutes=40)


def test_apps_inherit_and_override_defaults() -> None:
    registry = parse({"full.yaml": FULL}, ENVIRON)
    rules = registry.app("plain").rules
    assert (rules.region, rules.expires, rules.max_size_bytes) == ("cn-hangzhou", timedelta(minutes=15), 20 * 2**20)
    assert rules.url == "https://plain-bucket.oss-cn-hangzhou.aliyuncs.com"


def test_the_registry_finds_enabled_apps_only() -> None:
    registry = parse({"full.yaml": FULL}, ENVIRON)
    with pytest.raises(UnknownApp):
        registry.app("nobody")
    with pytest.raises(AppDisabled):
        registry.app("off")
    with pytest.raises(InvalidRequest):
        parse({"a.yaml": HEAD + "apps: {}"}, {}).app(None)
    assert registry.longest_expires()["uploader"] == timedelta(minutes=15)
    assert set(registry.longest_expires()) == {"uploader", "partner/wx1234567890abcdef"}


def test_no_secret_in_any_text() -> None:
    registry = parse({"full.yaml": FULL}, ENVIRON)
    assert SECRET not in repr(registry) + str(dict(registry.roles)) + str(dict(registry.apps))


def test_a_secret_in_the_wrong_place_is_not_shown() -> None:
    text = (
        HEAD
        + "apps: {a: {key_prefix: '', bucket: '${SECRET}', region: cn-hangzhou, credentials: r, max_size: '${SECRET}'}}"
    )
    with pytest.raises(BadDefinitions) as raised:
        parse({"a.yaml": text}, ENVIRON)
    assert len(raised.value.mistakes) == 2
    assert SECRET not in str(raised.value)


def test_files_are_merged_and_an_app_in_two_of_them_is_rejected() -> None:
    one = HEAD + "defaults: {region: cn-hangzhou, credentials: r}\napps: {a: {key_prefix: '', bucket: bbb}}\n"
    registry = parse({"one.yaml": one, "two.yaml": "version: 1\napps: {b: {key_prefix: '', bucket: bbb}}\n"}, {})
    assert set(registry.apps) == {"a", "b"}
    with pytest.raises(BadDefinitions) as raised:
        parse({"one.yaml": one, "two.yaml": "apps:\n  a: {key_prefix: '', bucket: ccc}\n"}, {})
    assert (
        str(raised.value)
        == "two.yaml:2:3: apps.a: this name is already used at one.yaml:4:8; rename or remove one of the two"
    )


def test_references_are_interpolated(tmp_path: Path) -> None:
    (tmp_path / "region").write_text("cn-beijing\n", encoding="utf-8")
    text = (
        HEAD
        + f"""apps:
  a: {{key_prefix: '', bucket: "${{B}}-x", region: "${{file:{tmp_path}/region}}", credentials: "${{C:-r}}", domain: "${{D:-}}"}}"""
    )
    rules = parse({"a.yaml": text}, {"B": "photos"}).app("a").rules
    assert (rules.bucket, rules.region) == ("photos-x", "cn-beijing")
    assert rules.url == "https://photos-x.oss-cn-beijing.aliyuncs.com"


def test_a_file_in_the_credentials_directory_of_systemd(tmp_path: Path) -> None:
    (tmp_path / "bucket").write_text("photos\n", encoding="utf-8")
    text = (
        HEAD
        + "apps: {a: {key_prefix: '', bucket: '${file:$CREDENTIALS_DIRECTORY/bucket}', region: cn-hangzhou, credentials: r}}\n"
    )
    assert parse({"a.yaml": text}, {"CREDENTIALS_DIRECTORY": str(tmp_path)}).app("a").rules.bucket == "photos"
    with pytest.raises(BadDefinitions, match=r"\$CREDENTIALS_DIRECTORY is not set: .*LoadCredential="):
        parse({"a.yaml": text}, {})


def test_the_documented_variables_give_the_keys_of_assume_role() -> None:
    apps = "apps: {a: {key_prefix: '', bucket: bbb, region: cn-hangzhou, credentials: r}}"
    text = f"version: 1\ncredentials: {{r: {{type: assume_role}}}}\n{apps}"
    environ = {"OSS_ACCESS_KEY_ID": "id", "OSS_ACCESS_KEY_SECRET": "s", "OSS_STS_ROLE_ARN": "acs:ram::1:role/r"}
    entry = parse({"a.yaml": text}, environ).roles["r"].entry
    assert isinstance(entry, AssumeRole)
    assert (entry.access_key_id, entry.role_arn) == ("id", "acs:ram::1:role/r")


def test_quantities() -> None:
    assert [parse_duration(text).total_seconds() for text in ("90s", "15m", "3h", "1d", 60, "60")] == [
        90, 900, 10800, 86400, 60, 60,
    ]  # fmt: skip
    assert [parse_size(text) for text in ("512KiB", "10 MiB", "5GB", 7, "7", "7B")] == [
        524288,
        10485760,
        5 * 10**9,
        7,
        7,
        7,
    ]
    assert parse_rate("100/s") == (100, 1)
    assert [format_duration(timedelta(seconds=s)) for s in (0, 90, 900, 7200, 86400)] == [
        "0s",
        "90s",
        "15m",
        "2h",
        "1d",
    ]
    for bad in ("", "1 w", "-1", None, True, 1.5, "１s"):
        with pytest.raises(ValueError, match="not a duration"):
            parse_duration(bad)
        with pytest.raises(ValueError, match="not a size"):
            parse_size(bad)
    for bad in ("", "0/s", "1/w", 5, None, "/s"):
        with pytest.raises(ValueError, match="not a rate"):
            parse_rate(bad)
