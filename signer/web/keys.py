"""What handlers and middlewares share of an application and of a request."""

from __future__ import annotations

from aiohttp import web

from signer.reload import Reloader
from signer.service import Revision, Service

SERVICE: web.AppKey[Service] = web.AppKey("service", Service)
RELOADER: web.AppKey[Reloader] = web.AppKey("reloader", Reloader)

REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
ASKED_APP: web.RequestKey[str] = web.RequestKey("asked_app", str)
"""The app id as the request gave it, known or not."""
KNOWN_APP: web.RequestKey[str] = web.RequestKey("known_app", str)
"""The id of an app that exists; only such ids reach the log."""
REVISION: web.RequestKey[Revision] = web.RequestKey("revision", Revision)
"""What the request is answered from, from beginning to end."""
