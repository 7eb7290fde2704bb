"""Check that the limits of bytes of an app hold: each signature is for one file of a declared size."""

from collections.abc import Iterator

from signer.definitions import model
from signer.definitions.mistakes import Violation
from signer.definitions.quantities import format_size


def check_byte_limits(app: model.AppEntry) -> Iterator[Violation]:
    """Yield what contradicts `per_caller_bytes` and `per_app_bytes`, by paths below the app."""
    limits = app.rate_limit
    rates = {"per_caller_bytes": limits.per_caller_bytes, "per_app_bytes": limits.per_app_bytes}
    paths = {("rate_limit", name): rate for name, rate in rates.items() if rate is not None}
    if not paths:
        return
    for path, (size_bytes, _) in paths.items():
        if size_bytes < app.min_size:
            size, minimum = format_size(size_bytes), format_size(app.min_size)
            yield Violation(path, f"{size} is less than min_size ({minimum}), so no file is accepted; raise it")
    first = next(iter(paths))
    if app.key == "client":
        message = (
            "with key: client, one form uploads any number of files, so their bytes cannot be limited; "
            'write key: "{uuid}.{ext}", or another name that the signer chooses'
        )
        yield Violation(first, message)
    if app.generate_signature:
        message = (
            "/generate_signature signs forms without a declared size, so their bytes cannot be limited; "
            "write generate_signature: false"
        )
        yield Violation(first, message)
    if app.temporary_credentials is not None:
        message = (
            "temporary credentials upload any number of files of any size, so their bytes cannot be limited; "
            "remove temporary_credentials, or the limits of bytes"
        )
        yield Violation(first, message)
