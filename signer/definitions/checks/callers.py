"""Check who may request signatures of an app."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

from pydantic import SecretStr

from signer.definitions import caller_model, model
from signer.definitions.mistakes import KeyPath, Violation
from signer.definitions.quantities import format_duration
from signer.plugins import CALLERS, load_plugin

_MIN_SESSION, _MAX_SESSION = timedelta(minutes=5), timedelta(days=7)


def check_callers(app_id: str, app: model.AppEntry) -> Iterator[Violation]:
    """Yield what is wrong with `callers`."""
    if not app.callers:
        yield Violation(("callers",), "the list is empty; write at least one type of callers, such as {type: wechat}")
    logins = [index for index, entry in enumerate(app.callers) if isinstance(entry, caller_model.CodeLoginCallers)]
    for index in logins[1:]:
        first = app.callers[logins[0]].type
        message = f"{first} receives each X-WX-Code, so this entry is never used; write an app for each mini-program"
        yield Violation(("callers", index), message)
    for index, entry in enumerate(app.callers):
        path: KeyPath = ("callers", index) if len(app.callers) > 1 else ("callers",)
        if isinstance(entry, caller_model.OpenCallers) and index < len(app.callers) - 1:
            yield Violation(path, "open accepts every client, so the entries after it are never used; put it last")
        if isinstance(entry, caller_model.CodeLoginCallers) and not _MIN_SESSION <= entry.session <= _MAX_SESSION:
            yield Violation((*path, "session"), f"{format_duration(entry.session)} is out of range; write 5m to 7d")
        if isinstance(entry, caller_model.AlipayCallers):
            yield from _check_alipay_key(entry, path)
        if isinstance(entry, caller_model.JwtCallers):
            for violation in _check_jwt_keys(entry):
                yield violation.below(path)
        yield from _check_plugin(app_id, entry, path)


def _check_alipay_key(entry: caller_model.AlipayCallers, path: KeyPath) -> Iterator[Violation]:
    # cryptography takes long to load, so only where an app needs it.
    from signer.callers import alipay_key

    try:
        alipay_key.read_private_key(entry.private_key.get_secret_value())
    except alipay_key.InvalidPrivateKey as error:
        yield Violation((*path, "private_key"), str(error))


def _check_jwt_keys(entry: caller_model.JwtCallers) -> Iterator[Violation]:
    # PyJWT takes long to load, so only where an app needs it.
    from signer.callers import verification_keys

    key_from_secret = partial(verification_keys.key_from_secret, is_base64=entry.is_secret_base64)
    for name, text, read in (
        ("secret", _clear(entry.secret), key_from_secret),
        ("public_key", entry.public_key, verification_keys.key_from_pem),
    ):
        try:
            if text is not None:
                read(text)
        except verification_keys.InvalidKey as error:
            yield Violation((name,), str(error))


def _check_plugin(app_id: str, entry: caller_model.AnyCallers, path: KeyPath) -> Iterator[Violation]:
    """Let the package that offers this type of callers check its entry."""
    if isinstance(entry, caller_model.PluginCallers):
        try:
            load_plugin(CALLERS, entry.type)(entry.model_dump(), app_id)
        except ValueError as error:
            yield Violation(path, str(error))


def _clear(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
