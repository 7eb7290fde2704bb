"""`/status` and the two files that its page needs; what it tells is sampled while `sampling`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from signer.admin.status.document import document
from signer.admin.status.history import History
from signer.admin.status.loop_lag import LoopLag
from signer.admin.status.page import page
from signer.admin.status.view import Question, View, gather
from signer.clock import utc_now
from signer.http.reply import HTML, Reply, json_reply
from signer.http.router import Handler, Router
from signer.live.reloader import Reloader
from signer.revision import Context
from signer.service import Service

_ASSETS = Path(__file__).parent / "assets"
_MOST_TEXT = 100
_MOST_PAGE_DIGITS = 6

_HEADERS = {
    # Nothing but our own files runs or is shown, whatever a name in the definitions says.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept",
}


class Status:
    def __init__(self, service: Service, reloader: Reloader, *, worker: int | None = None) -> None:
        self._service = service
        self._reloader = reloader
        self._worker = worker
        self._started_at = utc_now()
        self._loop_lag = LoopLag()
        self._history = History(service.metrics, self._loop_lag)
        service.metrics.expose_loop_lag(self._loop_lag.worst_seconds)
        service.metrics.expose_revision(lambda: reloader.last.revision)

    @contextlib.asynccontextmanager
    async def sampling(self) -> AsyncIterator[None]:
        """Samples for the charts as long as the block runs."""
        tasks = [
            asyncio.create_task(self._loop_lag.watch(), name="watch the event loop"),
            asyncio.create_task(self._history.follow(), name="sample for the status page"),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def add_to(self, routes: Router) -> None:
        routes.add("GET", "/status", self.status)
        for name, content_type in (("status.css", "text/css"), ("status.js", "text/javascript")):
            routes.add("GET", f"/status/{name}", _file((_ASSETS / name).read_bytes(), content_type))

    async def status(self, context: Context) -> Reply:
        """The page for a browser, JSON for everybody else."""
        query = context.query
        digits = query.get("page", "")
        number = int(digits) if digits.isdecimal() and len(digits) <= _MOST_PAGE_DIGITS else 1
        question = Question(query.get("q", "").strip()[:_MOST_TEXT], max(1, number))
        if _wants_page(context.headers.get("Accept", "")):
            text = await asyncio.to_thread(lambda: page(self._view(question)))
            return Reply(200, text.encode(), HTML, headers=dict(_HEADERS))
        members = await asyncio.to_thread(lambda: document(self._view(question)))
        return json_reply(members, headers={"Vary": "Accept"})

    def _view(self, question: Question) -> View:
        return gather(
            self._service,
            self._reloader,
            self._history,
            self._loop_lag,
            question,
            started_at=self._started_at,
            worker=self._worker,
        )


def _wants_page(accept: str) -> bool:
    """Whether text/html is named, and is not wanted less than JSON (RFC 9110, 12.5.1)."""
    quality = {"text/html": 0.0, "application/json": 0.0}
    for each in accept.lower().split(","):
        name, *parameters = (part.strip() for part in each.split(";"))
        if name in quality:
            weights = [text for text in parameters if text.startswith("q=")]
            with contextlib.suppress(ValueError):
                quality[name] = float(weights[0][2:]) if weights else 1.0
    return 0 < quality["text/html"] >= quality["application/json"]


def _file(content: bytes, content_type: str) -> Handler:
    async def file(_context: Context) -> Reply:
        headers = {"X-Content-Type-Options": "nosniff"}
        return Reply(200, content, f"{content_type}; charset=utf-8", headers=headers)

    return file
