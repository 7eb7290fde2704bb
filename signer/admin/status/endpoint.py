"""`/status` and the two files of its page."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from signer.admin.status.history import History
from signer.admin.status.html_page import status_page
from signer.admin.status.json_document import status_document
from signer.admin.status.loop_lag import LoopLag
from signer.admin.status.process import ProcessState
from signer.admin.status.snapshot import StatusQuery, StatusSnapshot, take_snapshot
from signer.clock import utc_now
from signer.http.header_weights import header_weights
from signer.http.reply import HTML, Reply, json_reply
from signer.http.router import Handler, Router
from signer.live.reloader import Reloader
from signer.revision import Context
from signer.service import Service

_FILES = {"status.css": "text/css; charset=utf-8", "status.js": "text/javascript; charset=utf-8"}
_MAX_TEXT_CHARACTERS = 100
_MAX_PAGE_DIGITS = 6
_PAGE_HEADERS = {
    # The page loads and runs only its own two files, even if a name in the definitions were rendered as markup.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept",
}


class StatusEndpoint:
    """The state of this process as a page and as JSON."""

    def __init__(self, service: Service, reloader: Reloader, *, worker: int | None = None) -> None:
        """Create it for a process that starts now; its charts stay empty until `sampling` runs."""
        self._service = service
        self._reloader = reloader
        self._worker = worker
        self._started_at = utc_now()
        self._loop_lag = LoopLag()
        self._history = History(service.metrics, self._loop_lag)

    @contextlib.asynccontextmanager
    async def sampling(self) -> AsyncIterator[None]:
        """Sample the metrics for the charts during the block, and expose the metrics that are measured here."""
        self._service.metrics.expose_loop_lag(self._loop_lag.max_seconds)
        self._service.metrics.expose_revision(lambda: self._reloader.last.revision)
        tasks = [
            asyncio.create_task(self._loop_lag.measure(), name="measure the event loop lag"),
            asyncio.create_task(self._history.follow(), name="sample for the status page"),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def add_routes(self, router: Router) -> None:
        """Add `/status` and its files."""
        router.add("GET", "/status", self.status)
        for name, content_type in _FILES.items():
            router.add("GET", f"/status/{name}", _file_handler(Path(__file__).parent / "assets" / name, content_type))

    async def status(self, context: Context) -> Reply:
        """Return the page to a browser, and JSON to other clients."""
        number, text = context.query.get("page", ""), context.query.get("q", "")
        page = int(number) if number.isdecimal() and len(number) <= _MAX_PAGE_DIGITS else 1
        query = StatusQuery(text.strip()[:_MAX_TEXT_CHARACTERS], max(1, page))
        if _prefers_html(context.headers.get("Accept", "")):
            html = await asyncio.to_thread(lambda: status_page(self.snapshot(query)))
            return Reply(200, html.encode(), HTML, headers=dict(_PAGE_HEADERS))
        document = await asyncio.to_thread(lambda: status_document(self.snapshot(query)))
        return json_reply(document, headers={"Vary": "Accept"})

    def snapshot(self, query: StatusQuery | None = None) -> StatusSnapshot:
        """Return the current state; any thread may call it."""
        process = ProcessState.current(self._started_at, self._worker)
        query = query or StatusQuery()
        return take_snapshot(self._service, self._reloader, self._history, self._loop_lag, query, process)


def _prefers_html(accept: str) -> bool:
    """Return whether the header names text/html, with at least the weight of JSON.

    See: https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1
    """
    weights = header_weights(accept)
    return 0 < weights.get("text/html", 0.0) >= weights.get("application/json", 0.0)


def _file_handler(path: Path, content_type: str) -> Handler:
    content = path.read_bytes()

    async def file(_context: Context) -> Reply:
        return Reply(200, content, content_type, headers={"X-Content-Type-Options": "nosniff"})

    return file
