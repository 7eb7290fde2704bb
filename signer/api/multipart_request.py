"""Parses the bodies of requests for multipart uploads."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from signer.api.json_body import Code, invalid_body, parse_json_body
from signer.api.upload_request import ContentType, Filename
from signer.errors import InvalidRequest
from signer.revision import Context
from signer.signing.multipart import MAX_PARTS, MAX_TOKEN_CHARACTERS
from signer.signing.upload_rules import UploadRequest

MAX_PARTS_PER_REQUEST = 100
MAX_COMPLETION_BYTES = 2**20
"""Of a completion that names 10,000 parts."""

Token = Annotated[
    str, Field(min_length=1, max_length=MAX_TOKEN_CHARACTERS, description="The upload, as the start returned it.")
]
PartNumber = Annotated[int, Field(ge=1, le=MAX_PARTS)]


_NUMBER = re.compile("[0-9]{1,16}", re.ASCII)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class MultipartStartQuery(_Body):
    """What a client sends that starts an upload with a query."""

    filename: Filename | None = None
    content_type: ContentType | None = None
    size: int = Field(ge=0, le=2**53, description="The size of the file in bytes.")
    part_size: int | None = Field(
        None, ge=1, le=2**53, description="A proposed size of the parts in bytes; the response has the chosen one."
    )


class MultipartStartBody(MultipartStartQuery):
    """The file that the client wants to upload in parts."""

    vars: dict[str, str] | None = Field(None, description="Variables of the upload callback.")
    meta: dict[str, str] | None = Field(None, description="Metadata of the object.")
    code: Code = None


class MultipartTokenBody(_Body):
    """The upload to list or to abort."""

    upload: Token
    code: Code = None


class MultipartPartsBody(_Body):
    """The parts to sign."""

    upload: Token
    part_numbers: list[PartNumber] = Field(
        min_length=1, max_length=MAX_PARTS_PER_REQUEST, description="The numbers of the parts to sign, from 1."
    )
    code: Code = None


class UploadedPart(_Body):
    """A part that the client has uploaded."""

    part_number: PartNumber
    etag: str = Field(min_length=1, max_length=256, description="The header ETag of OSS's response to the part.")


class MultipartCompletionBody(_Body):
    """The upload to complete."""

    upload: Token
    # The response names the first malformed part only, and errors of all would take most of a second.
    parts: list[UploadedPart] | None = Field(
        None,
        max_length=MAX_PARTS,
        fail_fast=True,
        description="All parts; the signer compares their ETags with those at OSS.",
    )
    code: Code = None

    def etags_by_number(self) -> Mapping[int, str] | None:
        """Return the ETag of each part, or None if the client names none. Raises `InvalidRequest`."""
        if self.parts is None:
            return None
        etags = {part.part_number: part.etag for part in self.parts}
        if len(etags) < len(self.parts):
            raise InvalidRequest("parts names a part twice; name each once")
        return etags


async def parse_start_request(context: Context) -> tuple[UploadRequest, MultipartStartBody]:
    """Return what the client wants to upload, and the whole body. Raises `TooLarge` or `InvalidRequest`."""
    body = await parse_json_body(context, MultipartStartBody)
    request = UploadRequest(body.filename, body.content_type, body.size, body.vars or {}, body.meta or {})
    return request, body


def parse_start_query(context: Context) -> tuple[UploadRequest, int | None]:
    """Return what a client wants to upload that sends it in the query, and the part size that it proposes.

    Raises `InvalidRequest`.
    """
    query: dict[str, Any] = dict(context.query)
    for name in ("size", "part_size"):
        if _NUMBER.fullmatch(query.get(name, "")):
            query[name] = int(query[name])
    try:
        body = MultipartStartQuery.model_validate(query)
    except ValidationError as error:
        raise invalid_body(error, MultipartStartQuery, context.headers) from None
    return UploadRequest(body.filename, body.content_type, body.size), body.part_size


async def parse_parts_request(context: Context) -> MultipartPartsBody:
    """Return a request to sign parts. Raises `TooLarge` or `InvalidRequest`."""
    return await parse_json_body(context, MultipartPartsBody)


async def parse_token_request(context: Context) -> MultipartTokenBody:
    """Return a request to list or to abort an upload. Raises `TooLarge` or `InvalidRequest`."""
    return await parse_json_body(context, MultipartTokenBody)


async def parse_completion_request(context: Context) -> MultipartCompletionBody:
    """Return a request to complete an upload. Raises `TooLarge` or `InvalidRequest`."""
    return await parse_json_body(context, MultipartCompletionBody, max_bytes=MAX_COMPLETION_BYTES)
