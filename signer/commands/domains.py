"""Print the domains to enter in the WeChat console, and those that WeChat would refuse.

WeChat accepts a server domain only with https, without an IP address or localhost, with an ICP filing, with a port only
where requests use the same one, and never api.weixin.qq.com.

See: https://developers.weixin.qq.com/miniprogram/dev/framework/ability/network.html
"""

import argparse
import ipaddress
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from signer.commands.definition_options import add_definition_options, load_registry
from signer.definitions.public_endpoint import is_closed_to_new_accounts
from signer.definitions.registry import App
from signer.server import event_loop

CONSOLE = "https://mp.weixin.qq.com > 开发管理 > 开发设置 > 服务器域名"
APIS = ("request", "uploadFile", "downloadFile")
"""The APIs of WeChat, each with its own field in the console."""
_UNREGISTRABLE = tuple(
    f".{name}"
    for name in ("local", "localhost", "internal", "test", "example", "invalid", "lan", "home", "corp", "onion")
)
"""Ends of names that cannot be registered, so that they have no ICP filing either (RFC 6761, RFC 8375)."""
_MAX_APPS_LISTED = 20

Domains = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
"""The domains that an app needs for each API; none where they are unknown or not needed."""


class DomainProblem(NamedTuple):
    """Why WeChat refuses a domain, or a warning about it."""

    text: str
    is_refused: bool


_CLOSED = DomainProblem(
    "closed by OSS to accounts that are new since 2025-03-20; write a domain of your own as domain for the app, or "
    "legacy_endpoint: true if the account is older",
    False,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_definition_options(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--app", metavar="ID", help="only the domains of this app")
    parser.add_argument(
        "--public-url",
        metavar="URL",
        help="where mini-programs reach this signer, for example https://sign.example.com",
    )


def run(options: argparse.Namespace) -> int:
    """Print the domains; return 1 when WeChat would refuse one, or when there is no such app."""
    registry = event_loop.run(load_registry(options))
    apps = [app for app in registry.apps.values() if (app.enabled if options.app is None else app.id == options.app)]
    if options.app is not None and not apps:
        print(f"unknown app; use one of: {', '.join(sorted(registry.apps)[:_MAX_APPS_LISTED])}")
        return 1
    groups = _group_by_domains(apps, "" if options.public_url is None else _origin(options.public_url))
    domains = dict.fromkeys(domain for group in groups for listed in group for domain in listed)
    problems = {domain: found for domain in domains if (found := list(domain_problems(domain)))}
    of_new_accounts = dict.fromkeys(_origin(url) for app in apps if not app.legacy_endpoint for url in app.urls)
    for domain in filter(is_closed_to_new_accounts, of_new_accounts):
        problems.setdefault(domain, []).append(_CLOSED)
    has_signer = options.public_url is not None
    print(_as_json(groups, problems) if options.json else _as_text(groups, problems, has_signer=has_signer))
    return 1 if any(problem.is_refused for found in problems.values() for problem in found) else 0


def _group_by_domains(apps: Iterable[App], signer: str) -> dict[Domains, list[str]]:
    """Return the ids of the apps that need the same domains."""
    groups: dict[Domains, list[str]] = {}
    for app in apps:
        groups.setdefault(domains_of(app, signer), []).append(app.id)
    return groups


def domains_of(app: App, signer: str = "") -> Domains:
    """Return the domains that an app needs. Parts of large files are sent with wx.request."""
    upload = (_origin(app.rules.url),)
    request = ((signer,) if signer else ()) + (() if app.rules.multipart is None else upload)
    return request, upload, () if app.downloads is None else (_origin(app.downloads.url),)


def _origin(url: str) -> str:
    """Return scheme, host and port: the console accepts no path. A text without a scheme is a host."""
    split = urlsplit(url if "://" in url else f"//{url}")
    return f"{split.scheme or 'https'}://{split.netloc.rpartition('@')[2].lower()}"


def domain_problems(domain: str) -> Iterator[DomainProblem]:
    """Yield the problems of a domain; none for a good one."""
    split = urlsplit(domain)
    host = split.hostname or ""
    if split.scheme != "https":
        yield DomainProblem("not https, which mini-programs require; put nginx with a certificate in front", True)
    if _is_address(host):
        yield DomainProblem("an IP address; WeChat accepts only domain names", True)
    elif host == "localhost" or host.endswith(_UNREGISTRABLE) or "." not in host:
        yield DomainProblem("not a public domain name, so it has no ICP filing; use a domain with a filing", True)
    elif "-internal.aliyuncs.com" in host:
        yield DomainProblem("OSS's internal endpoint, which phones cannot reach; remove -internal", True)
    elif host == "api.weixin.qq.com":
        yield DomainProblem("WeChat's own API, which WeChat forbids as a server domain; call it from a server", True)
    if not host.isascii():
        yield DomainProblem("not ASCII; write it in its xn-- form", False)
    if _has_port(domain):
        yield DomainProblem("has a port; requests and the console must have the same port", False)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _has_port(domain: str) -> bool:
    try:
        return urlsplit(domain).port is not None
    except ValueError:
        return True


def _as_text(
    groups: Mapping[Domains, list[str]], problems: Mapping[str, list[DomainProblem]], *, has_signer: bool
) -> str:
    nothing = {"request": "(set it with --public-url)", "downloadFile": "(none: the app has no downloads)"}
    lines = [f"Paste into {CONSOLE}", ""]
    for domains, apps in groups.items():
        lines.append(f"{', '.join(apps)}:")
        for api, listed in zip(APIS, domains, strict=True):
            shown = [*listed] or [nothing[api]]
            if api == "request" and not has_signer and listed:
                shown.append("(and the signer: set it with --public-url)")
            lines += [f"  {f'{api}合法域名':<20} {domain}" for domain in shown]
        lines.append("")
    for domain, found in problems.items():
        lines += [f"{'refused' if each.is_refused else 'warning'}: {domain}: {each.text}" for each in found]
    if not problems:
        lines.append("every domain uses https; each needs its own ICP filing (aliyuncs.com has Alibaba's)")
    return "\n".join(lines)


def _as_json(groups: Mapping[Domains, list[str]], problems: Mapping[str, list[DomainProblem]]) -> str:
    refused: dict[str, list[str]] = {}
    warnings: dict[str, list[str]] = {}
    for domain, found in problems.items():
        for problem in found:
            (refused if problem.is_refused else warnings).setdefault(domain, []).append(problem.text)
    listed = [
        {"apps": apps, "domains": {api: [*each] for api, each in zip(APIS, domains, strict=True)}}
        for domains, apps in groups.items()
    ]
    document = {"console": CONSOLE, "groups": listed, "refused": refused, "warnings": warnings}
    return json.dumps(document, indent=2, ensure_ascii=False)
