"""What the signer's own calls to OSS return and raise; independent of the SDK, which takes long to load."""

from typing import Any, NamedTuple


class BucketAddress(NamedTuple):
    """A bucket, and where the signer reaches it: a domain of the bucket, or a URL with the bucket in its path."""

    bucket: str
    region: str
    url: str


class StoredPart(NamedTuple):
    """A part that OSS has."""

    number: int
    size_bytes: int
    etag: str


class StoredObject(NamedTuple):
    """An object that OSS has."""

    etag: str
    size_bytes: int
    mark: str
    """Shows which multipart upload it was; empty for other objects."""


class Completion(NamedTuple):
    """OSS's response to CompleteMultipartUpload."""

    etag: str
    """Empty where OSS responds with the response of the callback."""
    callback: Any = None
    """The JSON response of the app's server; None if there is no callback, or if it failed."""


class NoSuchUpload(Exception):
    """OSS has no upload with this id: it was completed or aborted."""


class NoSuchObject(Exception):
    """OSS has no object with this key."""


class OssFailure(Exception):
    """OSS does not respond, or fails; the text contains no secret."""


class TokenRejected(Exception):
    """OSS does not accept the token of the role; the text is OSS's status and code."""
