"""Warns of what temporary credentials undo: the rules of their app, and the downloads of other apps."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence, Set

from signer.definitions.mistakes import Violation
from signer.definitions.registry import App, Registry
from signer.definitions.roles import fixed_prefix


def unenforced_rules(app: App) -> Iterator[Violation]:
    """Yield a warning of what OSS does not enforce for clients with temporary credentials, by its path in the app.

    A session policy limits actions and keys. The other rules are in the policy of a form, which these uploads have not.

    See: https://help.aliyun.com/zh/oss/user-guide/ram-policy-overview
    """
    if app.caller_access is None or "oss:PutObject" not in app.caller_access.actions:
        return
    rules = app.rules
    names = ["min_size", "max_size", "rate_limit", "headers"]
    names += ["content_types"] if rules.content_types else []
    names += ["conditions"] if rules.conditions else []
    names += ["key"] if rules.naming.name is not None else []
    names += ["meta"] if rules.meta_names else []
    names += ["callback"] if rules.callback is not None else []
    message = (
        f"OSS does not apply {', '.join(names[:-1])} and {names[-1]} to uploads with these: a client stores any number "
        "of files of any size and type, with any ACL, below its own prefix; remove the key where these rules must hold"
    )
    yield Violation(("temporary_credentials",), message, at_key=True)


def followed_links(registry: Registry) -> Iterator[Violation]:
    """Yield a warning for downloads through which callers of another app can read, by its path.

    A caller with `oss:PutObject` can make a symbolic link to any object. Downloads of an app with temporary credentials
    are signed with the caller's own, which OSS does not let read the target, and those of other apps with their role.

    See: https://help.aliyun.com/zh/oss/developer-reference/putsymlink
    """
    linking: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for app in registry.apps.values():
        if app.enabled and app.caller_access is not None and "oss:PutObject" in app.caller_access.actions:
            linking[app.rules.bucket].setdefault(app.caller_access.prefix, app.id)
    ordered = {bucket: sorted(prefixes) for bucket, prefixes in linking.items()}
    for app in registry.apps.values() if linking else ():
        bucket = app.rules.bucket
        if not app.enabled or app.downloads is None or app.caller_access is not None or bucket not in linking:
            continue
        own = [fixed_prefix(app.id, app.rules.naming.prefix.text)] if app.downloads.reads_own else []
        for readable in (*app.downloads.also, *own):
            if (prefix := _overlapping_prefix(readable, ordered[bucket], linking[bucket].keys())) is not None:
                message = (
                    f"callers of apps.{linking[bucket][prefix]} have temporary credentials for a prefix that this app "
                    "reads, and OSS follows their symbolic links with the role of this app, to any object that the "
                    "role may read; set temporary_credentials here too, or separate the prefixes"
                )
                yield Violation(("apps", app.id, "downloads"), message, at_key=True)
                break


def _overlapping_prefix(prefix: str, ordered: Sequence[str], known: Set[str]) -> str | None:
    """Return one of the known prefixes that starts with this one, or that this one starts with, if there is any."""
    place = bisect_left(ordered, prefix)
    if place < len(ordered) and ordered[place].startswith(prefix):
        return ordered[place]
    return next((prefix[:end] for end in range(len(prefix)) if prefix[:end] in known), None)
