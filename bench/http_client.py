"""Sends single HTTP requests to the servers that are measured."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from bench.errors import CannotMeasure

_TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Response:
    """The headers and the body of a response."""

    headers: dict[str, str]
    text: str


def send(
    url: str,
    *,
    method: str = "GET",
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
    accepted: Sequence[int] = (200, 201, 503),
) -> Response:
    """Send a request on a connection of its own and return the response.

    Raises:
        CannotMeasure: The response has another status than the accepted ones.
    """
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.netloc, timeout=_TIMEOUT_SECONDS)
    with contextlib.closing(connection):
        target = f"{address.path}?{address.query}" if address.query else address.path
        connection.request(method, target, body, {**(headers or {})})
        response = connection.getresponse()
        text = response.read().decode()
    if response.status not in accepted:
        raise CannotMeasure(f"{method} {url} was answered with {response.status}: {text[:500]}")
    return Response(dict(response.getheaders()), text)


def call(url: str, *, method: str = "GET", body: object = None) -> Any:
    """Send JSON and return the JSON of the response; /readyz answers 503 with a body too.

    Raises:
        CannotMeasure: The response has another status than 200, 201 or 503.
    """
    return json.loads(send(url, method=method, body=None if body is None else json.dumps(body)).text)
