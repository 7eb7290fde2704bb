"""The body of a request: as much as any of ours may have, or nothing of it."""

from __future__ import annotations

import asyncio

from aiohttp.streams import StreamReader

from signer.errors import InvalidRequest, TooLarge

MAX_BODY_BYTES = 64 * 1024
_BODY_SECONDS = 10.0
_MOST_SKIPPED_BYTES = 16 * 2**20


async def whole_body(body: StreamReader) -> bytes:
    """Raises `TooLarge`, and `InvalidRequest` for a body that breaks off, is no HTTP or comes too slowly."""
    try:
        if body.is_eof():
            # It came together with the head, as small ones do.
            data = body.read_nowait()
        else:
            async with asyncio.timeout(_BODY_SECONDS):
                data = await _read(body)
    except TimeoutError:
        raise InvalidRequest(f"the body did not arrive within {_BODY_SECONDS:g} s") from None
    except ConnectionError:
        raise InvalidRequest("the body broke off") from None
    if len(data) > MAX_BODY_BYTES:
        raise TooLarge("the request body is too large; send only the request, the file goes to OSS")
    return data


async def _read(body: StreamReader) -> bytes:
    """All of it, or more than any may have."""
    data = bytearray()
    while len(data) <= MAX_BODY_BYTES and not body.at_eof():
        data += await body.readany()
    return bytes(data)


async def skip(body: StreamReader) -> bool:
    """Takes what no handler wanted; to close before would take the answer away from a client that still sends.

    Whether it came to its end, within a time and a size: then the connection may go on. Raises `ConnectionError` for
    one that breaks off.
    """
    skipped = 0
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            while not body.is_eof() and skipped <= _MOST_SKIPPED_BYTES:
                skipped += len(await body.readany())
    except TimeoutError:
        return False
    return body.is_eof()
