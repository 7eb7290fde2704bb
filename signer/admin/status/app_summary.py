"""What an app signs, and for whom, in words for a reader who has not read the definitions."""

from collections.abc import Iterator

from signer.definitions.registry import App

_CALLERS = {
    "open": "anyone",
    "wechat": "WeChat users",
    "douyin": "Douyin users",
    "alipay": "Alipay users",
    "jwt": "users of your server",
    "api_key": "holders of an API key",
}
"""By type of callers; a plugin's type is shown as it is written."""


def signed_for(app: App) -> str:
    """Return who may call the app."""
    return ", ".join(dict.fromkeys(_CALLERS.get(each.type, each.type) for each in app.callers))


def signs(app: App) -> str:
    """Return what the app signs."""
    return ", ".join(_signs(app))


def _signs(app: App) -> Iterator[str]:
    yield "uploads"
    if app.rules.multipart is not None:
        yield "large files"
    if app.downloads is not None:
        yield "downloads"
    if app.deletes:
        yield "deletes"
    if app.caller_access is not None:
        yield "temporary credentials"


def place(app: App) -> str:
    """Return the bucket and the prefix of the app's objects."""
    return f"{app.rules.bucket}/{app.rules.naming.prefix.text}"
