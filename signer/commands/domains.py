"""The command `domains`: what to paste into the WeChat console for each mini-program, and what WeChat would not take.

WeChat's rules (developers.weixin.qq.com, 小程序 > 网络 > 使用说明, 服务器域名配置): https only, no IP address, no
localhost, a port only where requests have the same one, an ICP filing, and never api.weixin.qq.com.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from signer.definitions.registry import App, Registry

CONSOLE = "https://mp.weixin.qq.com > 开发管理 > 开发设置 > 服务器域名"
_FIELDS = {"request": "request合法域名", "uploadFile": "uploadFile合法域名", "downloadFile": "downloadFile合法域名"}
_NEVER_FILED = ("local", "localhost", "internal", "test", "example", "invalid", "lan", "home", "corp", "onion")
"""Ends of names that nobody can register, so that they have no ICP filing either (RFC 6761, RFC 8375)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")
    parser.add_argument("--app", metavar="ID", help="of this app alone")
    parser.add_argument(
        "--public-url", metavar="URL", help="where mini-programs reach this signer, such as https://sign.example.com"
    )


@dataclass(frozen=True, slots=True)
class Domains:
    """By the name of WeChat's own function, the domains that it has to be allowed; None: not known."""

    request: str | None
    upload: str
    download: str | None

    def by_field(self) -> dict[str, list[str]]:
        named = {"request": self.request, "uploadFile": self.upload, "downloadFile": self.download}
        return {field: [] if domain is None else [domain] for field, domain in named.items()}


def show(registry: Registry, options: argparse.Namespace) -> int:
    """Prints them; status 1 when WeChat would refuse one, or there is no such app."""
    apps = [app for app in registry.apps.values() if app.enabled]
    if options.app is not None:
        apps = [app for app in registry.apps.values() if app.id == options.app]
        if not apps:
            print(f"unknown app; one of: {', '.join(sorted(registry.apps)[:20])}")  # noqa: T201
            return 1
    groups = grouped(apps, options.public_url)
    complaints = {domain: found for domain in _all(groups) if (found := list(unfit(domain)))}
    print(_as_json(groups, complaints) if options.json else _as_text(groups, complaints))  # noqa: T201
    return 1 if any(fatal for found in complaints.values() for fatal, _ in found) else 0


def grouped(apps: list[App], public_url: str | None) -> dict[Domains, list[str]]:
    """The ids of the apps that need the same, by what they need."""
    groups: dict[Domains, list[str]] = {}
    for app in apps:
        upload = origin(app.rules.url)
        needs = Domains(
            request=None if public_url is None else origin(public_url),
            upload=upload,
            download=None if app.downloads is None else upload,
        )
        groups.setdefault(needs, []).append(app.id)
    return groups


def origin(url: str) -> str:
    """Scheme, host and port: the console takes no path. What has no scheme is taken for a host."""
    split = urlsplit(url if "://" in url else f"//{url}")
    return f"{split.scheme or 'https'}://{split.netloc.rpartition('@')[2].lower()}"


def unfit(domain: str) -> Iterator[tuple[bool, str]]:
    """Why WeChat refuses a domain (True), or what to be careful of (False); nothing for a good one."""
    split = urlsplit(domain)
    host = split.hostname or ""
    if split.scheme != "https":
        yield True, "not https: mini-programs ask only https; put nginx with a certificate before it"
    if _is_address(host):
        yield True, "an IP address: WeChat takes only domain names"
    elif host == "localhost" or host.endswith(_endings()) or "." not in host:
        yield True, "no public domain name, so it has no ICP filing: use one that is filed"
    elif "-internal.aliyuncs.com" in host:
        yield True, "OSS's internal endpoint, which phones cannot reach: leave out -internal"
    elif host == "api.weixin.qq.com":
        yield True, "WeChat forbids its own API as a server domain: only servers may ask it"
    if not host.isascii():
        yield False, "not in ASCII: write it in its xn-- form"
    if _port(domain) is not None:
        yield False, "with a port: then requests must have the very same one, and so must the console"


def _endings() -> tuple[str, ...]:
    return tuple(f".{each}" for each in _NEVER_FILED)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _port(domain: str) -> int | None:
    try:
        return urlsplit(domain).port
    except ValueError:
        return 0


def _all(groups: Mapping[Domains, list[str]]) -> list[str]:
    found = [domain for needs in groups for domains in needs.by_field().values() for domain in domains]
    return list(dict.fromkeys(found))


def _as_text(groups: Mapping[Domains, list[str]], complaints: Mapping[str, list[tuple[bool, str]]]) -> str:
    lines = [f"Paste into {CONSOLE}", ""]
    for needs, apps in groups.items():
        lines.append(f"{', '.join(apps)}:")
        for field, domains in needs.by_field().items():
            nothing = "(name it with --public-url)" if field == "request" else "(none: the app gives no downloads)"
            lines.append(f"  {_FIELDS[field]:<20} {';'.join(domains) or nothing}")
        lines.append("")
    for domain, found in complaints.items():
        lines += [f"{'unfit' if fatal else 'careful'}: {domain}: {why}" for fatal, why in found]
    if not complaints:
        lines.append("every domain is https; each needs an ICP filing of its own (aliyuncs.com has Alibaba's)")
    return "\n".join(lines)


def _as_json(groups: Mapping[Domains, list[str]], complaints: Mapping[str, list[tuple[bool, str]]]) -> str:
    def told(fatal: bool) -> dict[str, list[str]]:
        found = {domain: [why for is_fatal, why in each if is_fatal is fatal] for domain, each in complaints.items()}
        return {domain: whys for domain, whys in found.items() if whys}

    document = {
        "console": CONSOLE,
        "groups": [{"apps": apps, "domains": needs.by_field()} for needs, apps in groups.items()],
        "unfit": told(True),
        "careful": told(False),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)
