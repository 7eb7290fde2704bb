"""Print the domains to enter in the WeChat console, and those that WeChat would refuse.

WeChat accepts a server domain only with https, without an IP address or localhost, with an ICP filing, with a port only
where requests use the same one, and never api.weixin.qq.com.

See: https://developers.weixin.qq.com/miniprogram/dev/framework/ability/network.html
"""

from __future__ import annotations

import argparse
import ipaddress
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from signer.commands.definition_options import add_definition_options, load_registry
from signer.definitions.registry import App
from signer.server import event_loop

CONSOLE = "https://mp.weixin.qq.com > 开发管理 > 开发设置 > 服务器域名"
_FIELDS = {"request": "request合法域名", "uploadFile": "uploadFile合法域名", "downloadFile": "downloadFile合法域名"}
_UNREGISTRABLE = tuple(
    f".{name}"
    for name in ("local", "localhost", "internal", "test", "example", "invalid", "lan", "home", "corp", "onion")
)
"""Ends of names that cannot be registered, so that they have no ICP filing either (RFC 6761, RFC 8375)."""
_MAX_APPS_LISTED = 20


@dataclass(frozen=True, slots=True)
class RequiredDomains:
    """The domains that an app's mini-program needs in the console; None where a domain is unknown or not needed."""

    request: str | None
    upload: str
    download: str | None

    def by_field(self) -> dict[str, list[str]]:
        """Return the domains by the name of the WeChat API that uses them."""
        fields = {"request": self.request, "uploadFile": self.upload, "downloadFile": self.download}
        return {field: [] if domain is None else [domain] for field, domain in fields.items()}


@dataclass(frozen=True, slots=True)
class DomainProblem:
    """Why WeChat refuses a domain, or what to be careful about."""

    text: str
    is_refused: bool


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
    apps = [app for app in registry.apps.values() if app.enabled]
    if options.app is not None:
        apps = [app for app in registry.apps.values() if app.id == options.app]
        if not apps:
            print(f"unknown app; use one of: {', '.join(sorted(registry.apps)[:_MAX_APPS_LISTED])}")  # noqa: T201
            return 1
    groups = group_by_domains(apps, options.public_url)
    problems = {domain: found for domain in _all_domains(groups) if (found := list(domain_problems(domain)))}
    print(_as_json(groups, problems) if options.json else _as_text(groups, problems))  # noqa: T201
    return 1 if any(problem.is_refused for found in problems.values() for problem in found) else 0


def group_by_domains(apps: list[App], public_url: str | None) -> dict[RequiredDomains, list[str]]:
    """Return the ids of the apps that need the same domains."""
    groups: dict[RequiredDomains, list[str]] = {}
    for app in apps:
        upload = origin(app.rules.url)
        required = RequiredDomains(
            request=None if public_url is None else origin(public_url),
            upload=upload,
            download=None if app.downloads is None else upload,
        )
        groups.setdefault(required, []).append(app.id)
    return groups


def origin(url: str) -> str:
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


def _all_domains(groups: Mapping[RequiredDomains, list[str]]) -> list[str]:
    found = [domain for required in groups for domains in required.by_field().values() for domain in domains]
    return list(dict.fromkeys(found))


def _as_text(groups: Mapping[RequiredDomains, list[str]], problems: Mapping[str, list[DomainProblem]]) -> str:
    lines = [f"Paste into {CONSOLE}", ""]
    for required, apps in groups.items():
        lines.append(f"{', '.join(apps)}:")
        for field, domains in required.by_field().items():
            nothing = "(set it with --public-url)" if field == "request" else "(none: the app has no downloads)"
            lines.append(f"  {_FIELDS[field]:<20} {';'.join(domains) or nothing}")
        lines.append("")
    for domain, found in problems.items():
        lines += [f"{'refused' if each.is_refused else 'careful'}: {domain}: {each.text}" for each in found]
    if not problems:
        lines.append("every domain uses https; each needs its own ICP filing (aliyuncs.com has Alibaba's)")
    return "\n".join(lines)


def _as_json(groups: Mapping[RequiredDomains, list[str]], problems: Mapping[str, list[DomainProblem]]) -> str:
    def texts(*, is_refused: bool) -> dict[str, list[str]]:
        by_domain = {
            domain: [problem.text for problem in found if problem.is_refused is is_refused]
            for domain, found in problems.items()
        }
        return {domain: found for domain, found in by_domain.items() if found}

    document = {
        "console": CONSOLE,
        "groups": [{"apps": apps, "domains": required.by_field()} for required, apps in groups.items()],
        "unfit": texts(is_refused=True),
        "careful": texts(is_refused=False),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)
