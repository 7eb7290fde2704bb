"""From method and path to a handler, in a dictionary look-up or two."""

from __future__ import annotations

from signer.errors import MethodNotAllowed, NotFound
from signer.http.exchange import Exchange, Handler

Methods = dict[str, Handler]

_LAST = None


class Routes:
    """Paths, whose last segment or the one before it may be variable: `/v1/apps/{app_id}/uploads`."""

    def __init__(self) -> None:
        self._paths: dict[str, Methods] = {}
        self._around: dict[tuple[str, str | None], Methods] = {}
        """By what stands before the variable segment and behind it."""

    def add(self, method: str, path: str, handler: Handler) -> None:
        before, brace, rest = path.partition("/{")
        if not brace:
            self._paths.setdefault(path, {})[method] = handler
            return
        _, slash, after = rest.partition("/")
        self._around.setdefault((before, after if slash else _LAST), {})[method] = handler

    def find(self, exchange: Exchange) -> Handler:
        """Raises `NotFound` and `MethodNotAllowed`; notes the variable part of the path in the exchange."""
        methods = self._paths.get(exchange.path) or self._variable(exchange)
        if methods is None:
            raise NotFound("no such address here; see the HTTP reference")
        handler = methods.get(exchange.method)
        if handler is None:
            exchange.reply_headers["Allow"] = ", ".join(sorted(methods))
            raise MethodNotAllowed(f"use {' or '.join(sorted(methods))}")
        return handler

    def _variable(self, exchange: Exchange) -> Methods | None:
        path, _, last = exchange.path.rpartition("/")
        before, _, middle = path.rpartition("/")
        if (methods := self._around.get((before, last))) is not None:
            exchange.parameter = middle
        elif (methods := self._around.get((path, _LAST))) is not None:
            exchange.parameter = last
        return methods
