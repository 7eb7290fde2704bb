"""`POST /v1/apps/{app_id}/callback`: what reaches the receiver, and the response."""

from __future__ import annotations

import pytest

from tests.api.conftest import Client, StubReceiver, problem_of


async def test_the_receiver_gets_the_request_as_oss_sent_it(client: Client, receiver: StubReceiver) -> None:
    path = "/v1/apps/reported/callback?proof=a%26b"
    headers = {"Authorization": "signature", "X-Request-Id": "an-id-of-OSS"}
    async with client.post(path, data=b"bucket=photos&object=a.jpg", headers=headers) as response:
        assert (response.status, await response.json()) == (200, {"ok": True, "key": "a.jpg"})
    [(app_id, request, _body)] = receiver.received
    assert (app_id, request.target, request.headers["Authorization"]) == ("reported", path, "signature")
    assert (request.client_address, request.request_id) == ("127.0.0.1", "an-id-of-OSS")


@pytest.mark.parametrize("app_id", ["open", "unknown"])
async def test_an_app_without_callbacks_has_no_such_path(client: Client, app_id: str) -> None:
    assert (await problem_of(client, "POST", f"/v1/apps/{app_id}/callback", 404))["code"] == "not_found"


async def test_what_the_receiver_refuses_is_a_problem(client: Client) -> None:
    assert (await problem_of(client, "POST", "/v1/apps/reported/callback", 403, data=b"x"))["detail"] == "another body"
