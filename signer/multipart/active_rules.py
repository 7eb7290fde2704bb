"""Checks an upload that was started earlier against the app as it is now: the YAML may have changed meanwhile."""

from datetime import datetime

from signer.definitions.registry import App
from signer.errors import Problem, UploadGone
from signer.signing.key_ownership import is_key_of_app
from signer.signing.multipart import PendingUpload, check_multipart_size, expired


def check_bucket(app: App, upload: PendingUpload) -> None:
    """Raise `UploadGone` if the app uses another bucket now."""
    if (upload.bucket, upload.region) != (app.rules.bucket, app.rules.region):
        raise UploadGone("the app uses another bucket now; start a new upload")


def check_active_rules(app: App, upload: PendingUpload, now: datetime) -> None:
    """Raise `UploadGone` if the upload has expired, or if the app does not allow it any more."""
    check_bucket(app, upload)
    if upload.expires_at <= now:
        raise expired()
    rules, multipart = app.rules, app.rules.multipart
    if multipart is None:
        raise UploadGone("this app has no multipart uploads any more; use a form")
    try:
        check_multipart_size(rules, multipart, upload.size_bytes)
    except Problem as problem:
        raise UploadGone(f"the rules of the app have changed: {problem.detail}") from None
    content_type = upload.content_type.partition(";")[0].lower()
    if rules.content_types and content_type not in rules.content_types:
        raise UploadGone(f"the rules of the app have changed: it does not allow {content_type} any more")
    if not is_key_of_app(rules.naming, upload.key, app_id=app.id):
        raise UploadGone("the rules of the app have changed: its objects have other names now; start a new upload")
