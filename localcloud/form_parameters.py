"""Reads the parameters of requests to STS and Alipay."""

from __future__ import annotations

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError


async def parameters_of(request: web.Request) -> dict[str, str]:
    """Return the parameters of the query and of a posted form. A file is none, nor is a body that is no form."""
    try:
        form = await request.post()
    except (ValueError, LookupError, RuntimeError, HttpProcessingError):
        return dict(request.query)
    return {**request.query, **{name: value for name, value in form.items() if isinstance(value, str)}}
