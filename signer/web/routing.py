"""From method and path to a handler, in a dictionary look-up or two."""

from __future__ import annotations

from signer.errors import MethodNotAllowed, NotFound
from signer.web.exchange import Exchange, Handler

Methods = dict[str, Handler]


class Routes:
    """Paths, of which one segment may be variable: `/v1/apps/{app_id}/uploads`."""

    def __init__(self) -> None:
        self._paths: dict[str, Methods] = {}
        self._patterns: dict[tuple[int, int], dict[tuple[str, ...], Methods]] = {}
        """By the number of segments and which one is variable; then by the others."""

    def add(self, method: str, path: str, handler: Handler) -> None:
        segments = path.split("/")
        variable = [index for index, segment in enumerate(segments) if segment.startswith("{")]
        if not variable:
            self._paths.setdefault(path, {})[method] = handler
            return
        [index] = variable
        fixed = (*segments[:index], *segments[index + 1 :])
        self._patterns.setdefault((len(segments), index), {}).setdefault(fixed, {})[method] = handler

    def find(self, exchange: Exchange) -> Handler:
        """Raises `NotFound` and `MethodNotAllowed`; notes the variable part of the path in the exchange."""
        # As it was sent: none of our paths needs an escape, and an escaped slash must be no slash.
        path = exchange.raw_path.partition("?")[0]
        methods = self._paths.get(path) or self._variable(exchange, path)
        if methods is None:
            raise NotFound("no such address here; see the HTTP reference")
        handler = methods.get(exchange.method)
        if handler is None:
            exchange.reply_headers["Allow"] = ", ".join(sorted(methods))
            raise MethodNotAllowed(f"use {' or '.join(sorted(methods))}")
        return handler

    def _variable(self, exchange: Exchange, path: str) -> Methods | None:
        segments = path.split("/")
        for (length, index), known in self._patterns.items():
            if length == len(segments):
                methods = known.get((*segments[:index], *segments[index + 1 :]))
                if methods is not None:
                    exchange.parameter = segments[index]
                    return methods
        return None
