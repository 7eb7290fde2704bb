"""Check the multipart uploads of an app."""

from collections.abc import Iterator
from datetime import timedelta

from signer.definitions import model
from signer.definitions.mistakes import Violation
from signer.definitions.multipart_model import SECRET_COMMAND
from signer.definitions.quantities import format_duration, format_size
from signer.signing.multipart import MARK_NAME, MAX_MULTIPART_BYTES, MAX_PART_BYTES, MIN_PART_BYTES

_MIN_EXPIRES, _MAX_EXPIRES = timedelta(minutes=1), timedelta(days=30)


def check_multipart(app: model.AppEntry, *, has_secret: bool) -> Iterator[Violation]:
    """Yield what is wrong with `multipart` and the keys that it depends on, by paths below the app."""
    multipart = app.multipart
    if multipart is None:
        return
    if not has_secret:
        message = f"needs a secret for its tokens; set server.secret to one made with: {SECRET_COMMAND}"
        yield Violation(("multipart",), message, at_key=True)
    if not MIN_PART_BYTES <= multipart.part_size <= MAX_PART_BYTES:
        message = f"{format_size(multipart.part_size)} is not a size that OSS accepts; write 100KiB to 5GiB"
        yield Violation(("multipart", "part_size"), message)
    if multipart.max_size > MAX_MULTIPART_BYTES:
        size, limit = format_size(multipart.max_size), format_size(MAX_MULTIPART_BYTES)
        yield Violation(("multipart", "max_size"), f"{size} is more than OSS accepts; write at most {limit}")
    for name, limit_bytes in (("min_size", app.min_size), ("threshold", multipart.threshold)):
        is_lowered = name == "threshold" and app.max_size < multipart.max_size
        if multipart.max_size < limit_bytes and not is_lowered:
            size, limit = format_size(multipart.max_size), format_size(limit_bytes)
            message = f"{size} is less than {name} ({limit}); raise it, or lower {name}"
            yield Violation(("multipart", "max_size"), message)
    if not _MIN_EXPIRES <= multipart.expires <= _MAX_EXPIRES:
        message = f"{format_duration(multipart.expires)} is out of range; write 1m to 30d"
        yield Violation(("multipart", "expires"), message)
    taken = f"multipart uploads use x-oss-meta-{MARK_NAME} for a mark of their own; choose another name"
    if MARK_NAME in app.meta:
        yield Violation(("meta", app.meta.index(MARK_NAME)), taken)
    for name in app.headers:
        if name.lower() == f"x-oss-meta-{MARK_NAME}":
            yield Violation(("headers", name), taken)
