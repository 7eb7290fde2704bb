"""What works, but an operator should know of: told by `check` as warnings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from signer.definitions import model, regions
from signer.definitions.checks import Finding
from signer.definitions.masking import SECRET_KEYS
from signer.definitions.merge import Joined
from signer.definitions.mistakes import Mistake, Place
from signer.definitions.registry import App, Role
from signer.definitions.session_policy import fixed_prefix
from signer.definitions.suggestions import dotted, printable_name
from signer.definitions.yaml_text import Path_

_THIS_MACHINE = re.compile(r"https?://(?:127\.|localhost|\[::1\]).*")


def app_cautions(app: model.App, entry: model.CredentialEntry) -> Iterator[Finding]:
    """About an app by itself."""
    if not app.enabled:
        return
    if isinstance(entry, model.Static):
        yield ("credentials",), "signs with a static credential, which nothing replaces; use it for tests only"
    if any(isinstance(each, model.OpenCallers) for each in app.callers) and app.rate_limit.is_unlimited:
        yield (), "gives forms to anyone, as often as they like; set rate_limit, or another type of callers"
    if near := regions.probably_mistyped(app.region):
        yield ("region",), f"no region that this version knows of; did you mean {near}?"
    if app.domain is not None and not _THIS_MACHINE.fullmatch(app.domain):
        if app.domain.startswith("http:"):
            yield ("domain",), "mini-programs upload only to https; write https://"
        if "-internal.aliyuncs.com" in app.domain:
            yield ("domain",), "phones cannot reach OSS's internal endpoint; leave it out"


@dataclass(frozen=True, slots=True)
class Cautions:
    """About the definitions as a whole; worked out when somebody asks."""

    text: Joined
    apps: Mapping[str, App]
    roles: Mapping[str, Role]
    default_app: str | None
    of_apps: Mapping[str, tuple[Finding, ...]]
    """What `app_cautions` said, by app."""

    def find(self) -> Iterator[Mistake]:
        for app_id, findings in self.of_apps.items():
            for path, message in findings:
                source = self.text.source(("apps", app_id, *path))
                yield Mistake(self.text.mark(source), f"{dotted(source)}: {message}")
        yield from self._overlaps()
        yield from self._unused()
        yield from _secrets(self.text, (), self.text.value)
        default = self.apps.get(self.default_app or "")
        if default is not None and not default.enabled:
            yield Mistake(
                self.text.place(("default_app",)),
                "default_app: this app is switched off; requests that name none are refused",
            )

    def _overlaps(self) -> Iterator[Mistake]:
        """Enabled apps of which one's keys start with the other's prefix; each once, with the nearest around it.

        Sorted, all that start with a prefix follow it at once: a stack of the prefixes that are still open will do.
        """
        prefixes = sorted(
            (app.rules.bucket, fixed_prefix(app.id, app.rules.naming.prefix.text), app.id)
            for app in self.apps.values()
            if app.enabled
        )
        around: list[tuple[str, str, str]] = []
        for bucket, prefix, app_id in prefixes:
            while around and not (around[-1][0] == bucket and prefix.startswith(around[-1][1])):
                around.pop()
            if around:
                _, outer, other = around[-1]
                told = _overlap(
                    prefix == outer, f"apps.{printable_name(other)} ({_prefix_place(self.text, other)})", bucket
                )
                yield Mistake(_prefix_place(self.text, app_id), f"apps.{printable_name(app_id)}: {told}")
            around.append((bucket, prefix, app_id))

    def _unused(self) -> Iterator[Mistake]:
        used: set[str] = set()
        for role in self.roles.values():
            following: Role | None = role
            while following is not None and following.name not in used:
                used.add(following.name)
                following = following.source
        for name in self.text.value.get("credentials") or {}:
            if name not in used:
                yield Mistake(
                    self.text.key_place(("credentials", name)),
                    f"credentials.{printable_name(name)}: no app uses it; take it out, or name it in an app",
                )


def _overlap(same: bool, other: str, bucket: str) -> str:
    told = (
        f"its keys start like those of {other} in bucket {bucket}; each can write over the other's files"
        if same
        else f"its keys lie among those of {other} in bucket {bucket}, which can write over its files"
    )
    return f"{told}; give each a key_prefix of its own"


def _prefix_place(text: Joined, app_id: str) -> Place:
    path: Path_ = text.source(("apps", app_id, "key_prefix"))
    return text.place(path) if text.holds(path) and path[0] == "apps" else text.key_place(("apps", app_id))


def _secrets(text: Joined, path: Path_, value: object) -> Iterator[Mistake]:
    """Secrets that stand in the file itself, as a value or as the default of a `${...}`."""
    if not isinstance(value, dict):
        return
    for key, each in value.items():
        below = (*path, key)
        if key not in SECRET_KEYS or not isinstance(each, str):
            yield from _secrets(text, below, each)
            continue
        written = text.reference(below)
        if written is None:
            message = "a secret in clear; write ${NAME} or ${file:PATH} and keep it out of this file"
        elif ":-" in written:
            message = "a secret in clear, as a default; write ${NAME} or ${file:PATH} and keep it out of this file"
        else:
            continue
        yield Mistake(text.place(below), f"{dotted(below)}: {message}")
