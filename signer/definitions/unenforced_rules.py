"""Warns of the rules of an app that do not apply to uploads with temporary credentials."""

from collections.abc import Iterator

from signer.definitions.mistakes import Violation
from signer.definitions.registry import App


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
