"""Check what an app allows with stored objects: downloads and deletes."""

import re
from collections.abc import Iterator
from datetime import timedelta

from signer.definitions import caller_model, model
from signer.definitions.checks.domain import check_domain
from signer.definitions.checks.object_keys import has_caller_prefix
from signer.definitions.download_model import STYLE_NAME
from signer.definitions.mistakes import Violation
from signer.definitions.quantities import format_duration
from signer.signing.upload_rules import MAX_EXPIRES


def check_deletes(app: model.AppEntry) -> Iterator[Violation]:
    """Yield what is wrong with `deletes`."""
    if not app.deletes:
        return
    if any(isinstance(each, caller_model.OpenCallers) for each in app.callers):
        message = "callers of type open are not identified, so anyone could delete; choose another type of callers"
        yield Violation(("deletes",), message)
    if not has_caller_prefix(app):
        message = (
            "callers may delete only below their own prefix, and key_prefix has none; put {caller}/ into key_prefix"
        )
        yield Violation(("deletes",), message)


def check_downloads(app: model.AppEntry) -> Iterator[Violation]:
    """Yield what is wrong with `downloads` and the keys that it depends on, by paths below the app."""
    downloads = app.downloads
    if downloads is None:
        return
    if not has_caller_prefix(app) and not downloads.also:
        yield Violation(
            ("downloads",),
            "callers may read only below their own prefix, and key_prefix has none; put {caller}/ into key_prefix, or "
            "write what all callers may read as downloads.also",
        )
    if not timedelta(seconds=1) <= downloads.expires <= MAX_EXPIRES:
        message = f"{format_duration(downloads.expires)} is out of range; write 1s to 7d"
        yield Violation(("downloads", "expires"), message)
    elif downloads.window + downloads.expires > MAX_EXPIRES:
        longest, limit = format_duration(downloads.window + downloads.expires), format_duration(MAX_EXPIRES)
        message = f"window and expires together are {longest}, and OSS accepts {limit}; shorten one of the two"
        yield Violation(("downloads", "window"), message)
    for name in downloads.styles:
        if not re.fullmatch(STYLE_NAME, name):
            message = "this name is not a style name; use 1 to 64 letters, digits, _ and -"
            yield Violation(("downloads", "styles", name), message, at_key=True)
    yield from check_domain(app, downloads.domain, ("downloads", "domain"))
