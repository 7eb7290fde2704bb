"""Uploads to OSS as a client does, and decodes what it is given for that."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from typing import Any

import aiohttp
from multidict import CIMultiDictProxy


async def post_object(
    session: aiohttp.ClientSession, url: str, fields: dict[str, str], content: bytes, filename: str = "photo.jpg"
) -> tuple[int, str, CIMultiDictProxy[str]]:
    """Send a multipart POST as wx.uploadFile does, the fields first and the file last.

    Returns:
        The status, the body and the headers of the response.
    """
    form = aiohttp.FormData(quote_fields=False)
    for name, value in fields.items():
        # aiohttp warns of large texts, because writing them blocks its loop.
        form.add_field(name, value if len(value) < 2**20 else io.BytesIO(value.encode()))
    form.add_field("file", content, filename=filename, content_type="application/octet-stream")
    async with session.post(url, data=form, allow_redirects=False) as response:
        return response.status, await response.text(), response.headers


async def upload_file(
    session: aiohttp.ClientSession, url: str, headers: Mapping[str, str], filename: str, content: bytes
) -> str:
    """Request a form for a file at this address of a signer, send the file to OSS, and return the object key."""
    async with session.post(url, json={"filename": filename}, headers=headers) as response:
        form = await response.json()
        assert response.status == 201, form
    status, text, _ = await post_object(session, form["url"], form["fields"], content, filename)
    assert status == 200, text
    key: str = form["key"]
    return key


def decode_policy(policy: str) -> dict[str, Any]:
    """Return the policy document of a form's field."""
    document: dict[str, Any] = json.loads(base64.b64decode(policy))
    return document
