"""Maps the path and method of a request to its handler with one or two dictionary lookups."""

from collections.abc import Awaitable, Callable

from multidict import MultiMapping

from signer.definitions.registry import Registry
from signer.errors import NO_SUCH_PATH, MethodNotAllowed, NotFound
from signer.http.reply import Reply
from signer.revision import Context

Handler = Callable[[Context], Awaitable[Reply]]

AppNaming = Callable[[str, str, MultiMapping[str], Registry], str | None]
"""Returns the id of the app that a request names, from its path parameter, target, headers, and the registry."""


def app_in_path(parameter: str, _target: str, _headers: MultiMapping[str], _registry: Registry) -> str | None:
    """Return the path parameter as the app's id."""
    return parameter


class Route:
    """The handlers of one path, by method."""

    __slots__ = ("_handlers", "app_naming", "is_timed")

    def __init__(self, app_naming: AppNaming | None, *, is_timed: bool = True) -> None:
        self.app_naming = app_naming
        self.is_timed = is_timed
        """Whether responses count in the duration histogram."""
        self._handlers: dict[str, Handler] = {}

    def add(self, method: str, handler: Handler) -> None:
        """Add a handler. A handler of GET answers HEAD too; adapters leave its body out."""
        self._handlers[method] = handler
        if method == "GET":
            self._handlers["HEAD"] = handler

    def handler(self, method: str) -> Handler:
        """Return the handler of a method; raise `MethodNotAllowed` if the path has none."""
        handler = self._handlers.get(method)
        if handler is None:
            methods = sorted(self._handlers)
            raise MethodNotAllowed(f"use {' or '.join(methods)}", headers={"Allow": ", ".join(methods)})
        return handler


class Router:
    """The routes of one listener. One of the last three segments of a path may be variable.

    Examples: `/healthz`, `/v1/apps/{app_id}/uploads`, `/v1/apps/{app_id}/multipart/parts`, `/demo/page/{file}`.
    """

    def __init__(self) -> None:
        self._fixed: dict[str, Route] = {}
        self._variable: dict[tuple[str, str | None], Route] = {}
        """By the path before the variable segment and the path after it, which is None at the end of the path."""

    def add(
        self,
        method: str,
        path: str,
        handler: Handler,
        *,
        app_naming: AppNaming | None = None,
        is_timed: bool = True,
    ) -> None:
        """Add a handler for a path with at most one variable segment, in braces; GET includes HEAD.

        `app_naming` is how requests to a path name their app, and `is_timed` whether their durations are counted; the
        first handler of a path decides for all its methods.
        """
        before, brace, rest = path.partition("/{")
        if not brace:
            self._fixed.setdefault(path, Route(app_naming, is_timed=is_timed)).add(method, handler)
            return
        _, slash, after = rest.partition("/")
        key = (before, after if slash else None)
        self._variable.setdefault(key, Route(app_naming, is_timed=is_timed)).add(method, handler)

    def change_app_naming(self, change: Callable[[AppNaming], AppNaming]) -> None:
        """Replace how requests name their app, for each path whose requests name one."""
        for route in (*self._fixed.values(), *self._variable.values()):
            if route.app_naming is not None:
                route.app_naming = change(route.app_naming)

    def match(self, path: str) -> tuple[Route, str]:
        """Return the route of a path and the path's variable segment, which is empty if the route has none."""
        route = self._fixed.get(path)
        if route is not None:
            return route, ""
        parent, _, last = path.rpartition("/")
        before, _, middle = parent.rpartition("/")
        route = self._variable.get((before, last))
        if route is not None:
            return route, middle
        route = self._variable.get((parent, None))
        if route is not None:
            return route, last
        before, _, parameter = before.rpartition("/")
        route = self._variable.get((before, f"{middle}/{last}"))
        return (_UNKNOWN, "") if route is None else (route, parameter)


class _UnknownRoute(Route):
    """The route of every path that no route has."""

    __slots__ = ()

    def handler(self, method: str) -> Handler:
        raise NotFound(NO_SUCH_PATH)


_UNKNOWN = _UnknownRoute(None)
