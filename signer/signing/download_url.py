"""URLs that read objects: what an app allows, their period of validity, and their signatures.

See: https://help.aliyun.com/zh/oss/developer-reference/add-signatures-to-urls
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Literal, NamedTuple
from urllib.parse import quote

from signer.signing import v4
from signer.signing.presigned_url import MAX_EXPIRES_SECONDS, encode_parameter

Disposition = Literal["inline", "attachment"]

_UNIQUE_START = re.compile("[0-9a-f]{32}-")
"""What `unique_key` puts before the name of a file."""
_PLAIN_NAME = re.compile("[A-Za-z0-9_-][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class DownloadRules:
    """What an app allows to read. The values were validated when the definitions were read."""

    url: str
    """The URL of the bucket, without a slash at its end."""
    expires: timedelta
    """How long a URL is valid at least."""
    window: timedelta = timedelta()
    """How long the same URL is returned; zero: each response has new ones."""
    styles: Mapping[str, str] = field(default_factory=dict)
    """The values of `x-oss-process` by the names that clients use."""
    disposition: Disposition | None = None
    also: tuple[str, ...] = ()
    """Prefixes that every caller may read, each with a slash at its end."""
    reads_own: bool = True
    """Whether callers read below their own prefix; False if the app's prefix is not one of a caller."""

    @property
    def longest(self) -> timedelta:
        """The longest time that a URL is valid."""
        return self.window + self.expires


class Period(NamedTuple):
    """From when to when the URLs of a response are valid, in whole seconds."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> int:
        """The length of the period."""
        return int((self.end - self.start).total_seconds())

    def within(self, credential: v4.Credential, now: datetime) -> "Period":
        """Return the period as far as the credential covers it; raise `CredentialsUnavailable` if it has expired."""
        return Period(self.start, credential.limit(self.end, now))


def period_at(rules: DownloadRules, now: datetime) -> Period:
    """Return the period of URLs that are signed now: from the start of the current window until `expires` after it.

    Windows are counted from the epoch, so that they start at the same moment in every process.
    """
    start = now.replace(microsecond=0)
    if rules.window:
        seconds, window_seconds = int(start.timestamp()), int(rules.window.total_seconds())
        start = datetime.fromtimestamp(seconds - seconds % window_seconds, UTC)
    return Period(start, start + rules.longest)


class DownloadSigner:
    """Signs URLs that read objects of one bucket, which differ only in their keys.

    See: https://help.aliyun.com/zh/oss/developer-reference/recommend-to-use-signature-version-4
    """

    __slots__ = ("_bucket_url", "_disposition", "_head", "_path_start", "_query")

    def __init__(
        self,
        bucket_url: str,
        *,
        bucket: str,
        region: str,
        credential: v4.Credential,
        period: Period,
        process: str | None = None,
        disposition: Disposition | None = None,
    ) -> None:
        """Create a signer; `process` is the value of `x-oss-process`, which the signature covers."""
        if not 1 <= period.seconds <= MAX_EXPIRES_SECONDS:
            raise ValueError(f"a presigned URL is valid for 1 to {MAX_EXPIRES_SECONDS} seconds, not {period.seconds}")
        date = v4.format_date(period.start)
        parameters = {
            **v4.signature_parameters(credential, date, region),
            "x-oss-expires": str(period.seconds),
        }
        if process is not None:
            parameters["x-oss-process"] = process
        if disposition == "inline":
            parameters["response-content-disposition"] = disposition
        # OSS sorts parameters by name, and `response-content-disposition` is before all others.
        self._query = "&".join(text for _, text in sorted(encode_parameter(*each) for each in parameters.items()))
        self._disposition = "attachment" if disposition == "attachment" else None
        self._path_start = f"GET\n/{quote(bucket)}/"
        self._bucket_url = bucket_url
        signing_key = v4.signing_key(credential.access_key_secret, date[:8], region)
        head = f"{v4.SIGNATURE_VERSION}\n{date}\n{v4.date_scope(date, region)}\n"
        self._head = v4.CommonHeadSigner(signing_key, head.encode())

    def url(self, key: str) -> str:
        """Return a URL that reads the object with this key."""
        encoded, query = quote(key), self._query
        if self._disposition is not None:
            text = quote(content_disposition(self._disposition, key), safe="")
            query = f"response-content-disposition={text}&{query}"
        # Without headers, so two lines are empty: those of the headers and of their names.
        canonical_request = f"{self._path_start}{encoded}\n{query}\n\n\nUNSIGNED-PAYLOAD"
        signature = self._head.sign(sha256(canonical_request.encode()).hexdigest().encode())
        return f"{self._bucket_url}/{encoded}?{query}&x-oss-signature={signature}"


def content_disposition(disposition: str, key: str) -> str:
    """Return the header with the name of the file: the last segment of its key, without what made the key unique.

    See: https://www.rfc-editor.org/rfc/rfc6266
    """
    name = key.rpartition("/")[2]
    if (unique := _UNIQUE_START.match(name)) is not None and len(name) > unique.end():
        name = name[unique.end() :]
    if not name:
        return disposition
    if _PLAIN_NAME.fullmatch(name):
        return f'{disposition}; filename="{name}"'
    return f"{disposition}; filename*=UTF-8''{quote(name, safe='')}"
