"""What handlers and middlewares share of an application and of a request."""

from __future__ import annotations

from aiohttp import web

from signer.service import Service

SERVICE: web.AppKey[Service] = web.AppKey("service", Service)

REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
ASKED_APP: web.RequestKey[str] = web.RequestKey("asked_app", str)
"""The app id as the request gave it, known or not."""
KNOWN_APP: web.RequestKey[str] = web.RequestKey("known_app", str)
"""The id of an app that exists; only such ids reach the log."""
