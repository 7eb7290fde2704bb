"""Parses the URL of a store, and formats it for messages without its secrets."""

from collections.abc import Collection, Mapping
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

from signer.definitions.quantities import parse_duration
from signer.stores.protocol import CannotRead

_POLL_SECONDS = 10.0


def parse_url(url: str) -> SplitResult:
    """Split a URL; the text of `CannotRead` does not quote an invalid one, since it may contain a password."""
    try:
        parts = urlsplit(url)
        _ = parts.port, parts.hostname
    except ValueError:
        fix = "write / # ? @ in a password as %2F %23 %3F %40"
        raise CannotRead(f"--config {url.partition(':')[0]}://...: not a URL; {fix}") from None
    return parts


def printable_url(url: SplitResult, shown: Collection[str] = ()) -> str:
    """Return the URL without user, password and fragment; only the query parameters in `shown` keep their values."""
    place = (url.netloc + url.path).rpartition("@")[2]
    parameters = parse_qsl(url.query, keep_blank_values=True)
    query = "&".join(_printable_parameter(name, value, is_shown=name in shown) for name, value in parameters)
    return f"{url.scheme}://{place}" + (f"?{query}" if query else "")


def _printable_parameter(name: str, value: str, *, is_shown: bool) -> str:
    if is_shown:
        return quote(name, safe="") + (f"={quote(value, safe='/')}" if value else "")
    return f"{name}=***" if value and name.isidentifier() else "***"


def parse_options(query: str, known: Collection[str], location: str) -> dict[str, str]:
    """Parse `name=value&...`; raise `CannotRead` if a name is not one of `known`, or is repeated."""
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            # Anything but an identifier may be a part of a password.
            shown = f"'{name}'" if name.isidentifier() else "in the URL"
            raise CannotRead(f"--config {location}: unknown option {shown}; use {', '.join(sorted(known))}")
        if name in options:
            raise CannotRead(f"--config {location}: option '{name}' is repeated; write it once")
        options[name] = value
    return options


def poll_seconds(options: Mapping[str, str], location: str) -> float:
    """Return the interval that the option `poll` sets; raise `CannotRead` if it is not a positive duration."""
    if "poll" not in options:
        return _POLL_SECONDS
    try:
        seconds = parse_duration(options["poll"]).total_seconds()
    except ValueError as error:
        raise CannotRead(f"--config {location}: poll: {error}") from None
    if seconds <= 0:
        raise CannotRead(f"--config {location}: poll: the interval must be at least 1s")
    return seconds
