"""Check one app against itself and the entry under `credentials` that it signs with."""

from collections.abc import Iterator
from datetime import timedelta

from signer.definitions import model
from signer.definitions.checks.byte_limits import check_byte_limits
from signer.definitions.checks.callers import check_callers
from signer.definitions.checks.credentials import Entries, check_app_credentials
from signer.definitions.checks.domain import check_domain
from signer.definitions.checks.form_fields import check_conditions, check_headers
from signer.definitions.checks.multipart import check_multipart
from signer.definitions.checks.object_keys import check_object_keys
from signer.definitions.checks.stored_objects import check_deletes, check_downloads
from signer.definitions.checks.temporary_credentials import check_temporary_credentials
from signer.definitions.mistakes import Violation
from signer.definitions.quantities import format_duration, format_size
from signer.definitions.suggestions import KnownNames
from signer.delivery.callback_body import CallbackBodyFormat, InvalidBodyTemplate
from signer.signing.callback_field import JSON_BODY
from signer.signing.upload_rules import MAX_EXPIRES, MAX_OBJECT_BYTES


def check_app(
    app_id: str, app: model.AppEntry, entries: Entries, names: KnownNames, *, server: model.Server | None
) -> Iterator[Violation]:
    """Yield all that is wrong with an app with the defaults that it inherits, by paths below the app.

    Args:
        entries: the valid credentials entries; `names` are those of all.
        server: the `server` section; None if it is not valid.
    """
    yield from check_object_keys(app)
    yield from _check_sizes_and_expiry(app)
    yield from check_domain(app, app.domain, ("domain",))
    yield from check_headers(app)
    yield from check_conditions(app)
    yield from check_callers(app_id, app)
    yield from _check_callback(app, has_callback_queue=server is None or server.callback_queue is not None)
    yield from check_downloads(app)
    yield from check_deletes(app)
    yield from check_byte_limits(app)
    yield from check_multipart(app, has_secret=server is None or bool(server.secret))
    yield from check_app_credentials(app_id, app, entries, names)
    yield from check_temporary_credentials(app_id, app, entries)


def _check_sizes_and_expiry(app: model.AppEntry) -> Iterator[Violation]:
    if not timedelta(seconds=1) <= app.expires <= MAX_EXPIRES:
        yield Violation(("expires",), f"{format_duration(app.expires)} is out of range; write 1s to 7d")
    if app.max_size > MAX_OBJECT_BYTES:
        size, limit = format_size(app.max_size), format_size(MAX_OBJECT_BYTES)
        yield Violation(("max_size",), f"{size} is more than OSS accepts in one form; write at most {limit}")
    if app.min_size > app.max_size:
        size, limit = format_size(app.min_size), format_size(app.max_size)
        yield Violation(("min_size",), f"{size} is more than max_size ({limit}); lower it, or raise max_size")


def _check_callback(app: model.AppEntry, *, has_callback_queue: bool) -> Iterator[Violation]:
    callback = app.callback
    # The body of a callback to another server may be anything.
    if callback is None or callback.notify is None:
        return
    try:
        CallbackBodyFormat.from_template(callback.body, callback.body_type)
        if "${etag}" not in callback.body:
            example = '"etag": ${etag}' if callback.body_type == JSON_BODY else "etag=${etag}"
            message = f"has no ${{etag}}, so an upload could look like a repeat of another one; add {example}"
            yield Violation(("callback", "body"), message)
    except InvalidBodyTemplate as error:
        yield Violation(("callback", "body"), str(error))
    if not has_callback_queue:
        yield Violation(("callback", "notify"), "needs a queue for the events; set server.callback_queue")
