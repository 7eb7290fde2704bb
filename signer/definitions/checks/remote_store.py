"""Check what definitions from a remote store do with this machine's secrets: others may write there than its operators.

References may stand where a secret is used but not shown, and an entry with one may only name hosts that are allowed.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from signer.definitions.caller_model import BUILT_IN
from signer.definitions.merge import Document
from signer.definitions.mistakes import KeyPath, Violation
from signer.environment import Allowed, Variables
from signer.file_calls import fix_for
from signer.redis_url import InvalidRedisUrl, parse_redis_url

_REFERENCE_KEYS = re.compile(
    r"limits"
    r"|server\.(?:admin_token|callback_queue|secret)"
    r"|credentials\.(?:access_key_id|access_key_secret|role_arn|provider_arn)"
    r"|app\.callers\.(?:secret|private_key|public_key|keys\..*)"
    r"|app\.callback\.notify\.secret"
)
"""The keys that `${...}` may stand in; their values are neither sent to clients nor to a server that the YAML names."""
_SHOWN_KEY_OF_STATIC = "access_key_id"
"""Each form contains the AccessKey id; that of other types is used for STS only."""

_STS_HOST = re.compile(r"sts(?:-vpc)?(?:\.(?![a-z0-9-]*oss)[a-z]+(?:-[a-z0-9]+)+)?\.aliyuncs\.com")
"""See: https://help.aliyun.com/zh/ram/developer-reference/api-sts-2015-04-01-endpoint

Other names below aliyuncs.com can be buckets or functions of anybody.
"""
_WECHAT_HOST = re.compile(r"(?:[a-z]+\.)?api2?\.weixin\.qq\.com")
"""See: https://developers.weixin.qq.com/doc/offiaccount/Basic_Information/Interface_field_description.html"""
_DOUYIN_HOST = re.compile(r"developer\.toutiao\.com")
"""See: https://developer.open-douyin.com/docs/resource/zh-CN/mini-app/develop/server/log-in/code-2-session"""
_ALIPAY_HOST = re.compile(r"openapi\.alipay\.com|openapi-sandbox\.dl\.alipaydev\.com")
"""See: https://opendocs.alipay.com/common/02kkv7"""
_LOGIN_HOSTS = {"wechat": _WECHAT_HOST, "douyin": _DOUYIN_HOST, "alipay": _ALIPAY_HOST}
"""The hosts that may get a secret of this machine, by the type of callers."""
_HTTP_URL = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::[0-9]+)?(?:[/?#].*)?", re.IGNORECASE)


def check_remote_store(document: Document, variables: Variables) -> Iterator[Violation]:
    """Yield what definitions from a remote store must not do; nothing where everything is allowed."""
    allowed = variables.allowed
    if allowed is None:
        return
    for file in document.files:
        for path in file.templates:
            yield from _check_reference(path, document, allowed)
    for name, entry in _mappings(document.value.get("credentials")):
        yield from _check_credentials(("credentials", str(name)), entry, variables)


def may_contain_reference(path: KeyPath) -> bool:
    """Return whether `${...}` may stand at this path, whatever the type of its entry."""
    return _REFERENCE_KEYS.fullmatch(_general(path)) is not None


def _check_reference(path: KeyPath, document: Document, allowed: Allowed) -> Iterator[Violation]:
    """Check one value with `${...}`, and the hosts of its entry."""
    parent = _value_at(document.value, path[:-1])
    kind = parent.get("type") if isinstance(parent, dict) else None
    key = _general(path)
    if key.startswith("app.callers.") and kind not in BUILT_IN:
        if not allowed.allows_host("*"):
            message = (
                f"callers of type {kind} may send this value to any host; write the value itself, or start with "
                "--allow-hosts '*'"
            )
            yield Violation(path, message)
        return
    if not may_contain_reference(path) or (kind == "static" and path[-1] == _SHOWN_KEY_OF_STATIC):
        message = "others can see this value, so a remote store must not contain ${...} here; write the value itself"
        yield Violation(path, message)
    elif key in ("app.callers.secret", "app.callers.private_key") and kind in _LOGIN_HOSTS:
        yield from _check_url((*path[:-1], "endpoint"), parent.get("endpoint"), allowed, _LOGIN_HOSTS[kind])
    elif key == "app.callback.notify.secret":
        yield from _check_url((*path[:-1], "url"), parent.get("url"), allowed)
    elif key in ("limits", "server.callback_queue"):
        yield from _check_redis_hosts(path, _value_at(document.value, path), allowed)


def _check_credentials(path: KeyPath, entry: Mapping[str, Any], variables: Variables) -> Iterator[Violation]:
    """Check the receiver of a request that is signed with a credential of this machine, and the file in it."""
    if variables.allowed is not None and entry.get("type") in ("assume_role", "oidc"):
        yield from _check_url((*path, "endpoint"), entry.get("endpoint"), variables.allowed, _STS_HOST)
    token_file = entry.get("token_file")
    if isinstance(token_file, str):
        yield from _check_file((*path, "token_file"), token_file, variables)


def _check_file(path: KeyPath, file: str, variables: Variables) -> Iterator[Violation]:
    try:
        if not variables.allows_file(file):
            fix = "start with --allow-files and its directory to allow it"
            yield Violation(path, f"definitions from a remote store must not use this file; {fix}")
    except OSError as error:
        fix = fix_for(error, "check the path")
        yield Violation(path, f"this file cannot be checked: {error.strerror}; {fix}", is_transient=True)


def _check_redis_hosts(path: KeyPath, address: object, allowed: Allowed) -> Iterator[Violation]:
    """Check the server or each sentinel of a URL; the sentinels name the servers that get the password."""
    if isinstance(address, str) and "://" in address:
        try:
            hosts = parse_redis_url(address).hosts
        except InvalidRedisUrl:
            return  # validation reports it
        for host, _ in hosts:
            yield from _check_host(path, host, allowed)


def _check_url(
    path: KeyPath, url: object, allowed: Allowed, known: re.Pattern[str] | None = None
) -> Iterator[Violation]:
    if isinstance(url, str) and "://" in url:
        match = _HTTP_URL.fullmatch(url)
        yield from _check_host(path, match[1].strip("[]") if match else "", allowed, known)


def _check_host(
    path: KeyPath, host: str, allowed: Allowed, known: re.Pattern[str] | None = None
) -> Iterator[Violation]:
    """Check a host; it is empty where an address does not show it for sure."""
    if not (known and known.fullmatch(host.lower())) and not allowed.allows_host(host):
        message = (
            f"definitions from a remote store must not send secrets of this machine to {host or 'this address'}; "
            "remove it, or start with --allow-hosts and the host to allow it"
        )
        yield Violation(path, message)


def _general(path: KeyPath) -> str:
    """Return a path without list indexes and without the names of apps and entries: `app.callers.secret`."""
    steps = path
    if path[0] == "apps":
        steps = ("app", *path[2:])
    elif path[0] == "defaults":
        steps = ("app", *path[1:])
    elif path[0] == "credentials":
        steps = ("credentials", *path[2:])
    return ".".join(step for step in steps if isinstance(step, str))


def _value_at(value: Any, path: KeyPath) -> Any:
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _mappings(value: object) -> Iterator[tuple[object, Mapping[str, Any]]]:
    if isinstance(value, dict):
        yield from ((name, entry) for name, entry in value.items() if isinstance(entry, dict))
