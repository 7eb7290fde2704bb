"""Paths and methods to handlers."""

from __future__ import annotations

import pytest

from signer.errors import MethodNotAllowed, NotFound
from signer.http.reply import Reply
from signer.http.router import Router, app_in_path
from signer.revision import Context


async def handler(_context: Context) -> Reply:
    return Reply(204, content_type=None)


async def other(_context: Context) -> Reply:
    return Reply(204, content_type=None)


@pytest.fixture
def router() -> Router:
    router = Router()
    router.add("GET", "/fixed", handler)
    router.add("POST", "/fixed", other)
    router.add("POST", "/v1/apps/{app_id}/uploads", handler, app_naming=app_in_path)
    router.add("OPTIONS", "/v1/apps/{app_id}/uploads", other)
    router.add("GET", "/demo/page/{file}", handler)
    router.add("POST", "/v1/apps/{app_id}/multipart", handler, is_timed=False)
    router.add("POST", "/v1/apps/{app_id}/multipart/parts", handler, is_timed=False)
    return router


@pytest.mark.parametrize(
    ("method", "path", "parameter"),
    [
        ("GET", "/fixed", ""),
        ("HEAD", "/fixed", ""),
        ("POST", "/v1/apps/a/uploads", "a"),
        ("POST", "/v1/apps//uploads", ""),
        ("POST", "/v1/apps/a/multipart", "a"),
        ("POST", "/v1/apps/a/multipart/parts", "a"),
        ("POST", "/v1/apps/multipart/multipart/parts", "multipart"),
        ("GET", "/demo/page/style.css", "style.css"),
    ],
)
def test_a_path_has_a_handler_and_a_variable_segment(router: Router, method: str, path: str, parameter: str) -> None:
    route, found = router.match(path)
    assert (route.handler(method), found) == (handler, parameter)


def test_each_method_has_its_handler(router: Router) -> None:
    assert router.match("/fixed")[0].handler("POST") is other
    assert router.match("/v1/apps/a/uploads")[0].handler("OPTIONS") is other


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/fixed/",
        "/Fixed",
        "/v1/apps/a/b/uploads",
        "/v1/apps/a/b/multipart/parts",
        "/v1/apps/a/parts",
        "/v1/apps/a%2Fuploads",
        "/demo/page",
        "*",
    ],
)
def test_another_path_is_not_found(router: Router, path: str) -> None:
    with pytest.raises(NotFound):
        router.match(path)[0].handler("GET")


def test_another_method_is_refused_with_the_allowed_ones(router: Router) -> None:
    with pytest.raises(MethodNotAllowed) as refused:
        router.match("/fixed")[0].handler("DELETE")
    assert refused.value.headers == {"Allow": "GET, HEAD, POST"}


def test_the_first_handler_of_a_path_decides_how_its_app_is_named(router: Router) -> None:
    assert router.match("/v1/apps/a/uploads")[0].app_naming is app_in_path
    assert router.match("/fixed")[0].app_naming is None
