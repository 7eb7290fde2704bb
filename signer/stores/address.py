"""The URL of a store: what of it people may see, and the options in it that are ours."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from signer.definitions.quantities import parse_duration
from signer.stores.protocol import CannotRead


def parts(url: str) -> SplitResult:
    """Raises `CannotRead`, without the URL, which may hold a password."""
    try:
        found = urlsplit(url)
        _ = found.port, found.hostname
    except ValueError:
        scheme = url.partition(":")[0]
        raise CannotRead(
            f"--config {scheme}://...: is no URL; write / # ? @ in a password as %2F %23 %3F %40"
        ) from None
    return found


def location(url: SplitResult, shown: Collection[str] = ()) -> str:
    """The URL for people: no user, no password, no fragment, and of the query only what is named in `shown`."""
    place = (url.netloc + url.path).rpartition("@")[2]
    query = parse_qsl(url.query, keep_blank_values=True)
    told = "&".join(_parameter(name, value, shown=name in shown) for name, value in query)
    return f"{url.scheme}://{place}" + (f"?{told}" if told else "")


def _parameter(name: str, value: str, *, shown: bool) -> str:
    if shown:
        return quote(name, safe="") + (f"={quote(value, safe='/')}" if value else "")
    return f"{name}=***" if value and name.isidentifier() else "***"


def options(text: str, known: Collection[str], what: str) -> dict[str, str]:
    """`name=value&...`, each name once and known. Raises `CannotRead`; `what` says whose options they are."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name not in known:
            told = f"'{name}'" if name.isidentifier() else "in the URL"  # it may be a part of a password
            raise CannotRead(f"--config {what}: unknown option {told}; known: {', '.join(sorted(known))}")
        if name in found:
            raise CannotRead(f"--config {what}: option '{name}' is given twice")
        found[name] = value
    return found


def poll_seconds(options: dict[str, str], default_seconds: float, what: str) -> float:
    """The option `poll`. Raises `CannotRead`."""
    if "poll" not in options:
        return default_seconds
    try:
        seconds = parse_duration(options["poll"]).total_seconds()
    except ValueError as error:
        raise CannotRead(f"--config {what}: poll: {error}") from None
    if seconds <= 0:
        raise CannotRead(f"--config {what}: poll: how often to look; write 1s or more")
    return seconds


def without_options(url: SplitResult, names: Collection[str]) -> str:
    """The URL without these parts of its query."""
    query = [(name, value) for name, value in parse_qsl(url.query, keep_blank_values=True) if name not in names]
    return url._replace(query=urlencode(query)).geturl()
