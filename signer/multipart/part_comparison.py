"""Compares the parts that OSS has with the declared size, and with the parts that the client names."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from signer.errors import PartsMismatch
from signer.signing.multipart import PendingUpload


class Part(Protocol):
    """A part as OSS lists it."""

    @property
    def number(self) -> int: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def etag(self) -> str: ...


def compare_parts(upload: PendingUpload, stored: Sequence[Part], named: Mapping[int, str] | None) -> None:
    """Raise `PartsMismatch` unless OSS has exactly the parts of the upload.

    Args:
        stored: in ascending order.
        named: the ETags that the client names, by part number, with or without quotes; None if it names none.
    """
    for number, part in enumerate(stored, 1):
        if part.number > upload.part_count:
            raise PartsMismatch(f"OSS has part {part.number}, and this upload has {upload.part_count}; start a new one")
        if part.number != number:
            raise _missing(number)
        size_bytes = upload.part_bytes(number)
        if part.size_bytes != size_bytes:
            raise PartsMismatch(f"part {number} has {part.size_bytes} bytes, not {size_bytes}; send it again")
    if len(stored) < upload.part_count:
        raise _missing(len(stored) + 1)
    if named is None:
        return
    for part in stored:
        etag = named.get(part.number)
        if etag is None:
            raise PartsMismatch(f"parts has no part {part.number}; name all of them, or none")
        if _plain(etag) != _plain(part.etag):
            raise PartsMismatch(f"part {part.number} has another ETag at OSS; send it again")
    if len(named) > len(stored):
        raise PartsMismatch(f"parts has a part that this upload does not have; it has {upload.part_count}")


def _missing(number: int) -> PartsMismatch:
    return PartsMismatch(f"part {number} is missing; send it")


def _plain(etag: str) -> str:
    return etag.strip('"').upper()
