"""Parses requests for URLs that read objects."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from signer.api.json_body import Code, parse_json_body
from signer.revision import Context

MAX_KEYS = 100
_MAX_BODY_BYTES = 2**18
"""Of 100 keys of 1,023 bytes each, in which each character may be escaped."""

Key = Annotated[str, Field(min_length=1, description="The object key.")]


class DownloadsBody(BaseModel):
    """The objects to read."""

    model_config = ConfigDict(extra="forbid", strict=True)

    keys: list[Key] = Field(min_length=1, max_length=MAX_KEYS, description="The object keys.")
    style: str | None = Field(None, description="The name of a style of the app, such as a thumbnail.")
    code: Code = None


async def parse_downloads_request(context: Context) -> DownloadsBody:
    """Return the objects that a client wants to read. Raises `TooLarge` or `InvalidRequest`."""
    return await parse_json_body(context, DownloadsBody, max_bytes=_MAX_BODY_BYTES)
