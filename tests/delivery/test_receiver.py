"""Receiving callbacks: checks in the order of their cost, and a repeated callback is the same event."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from signer.delivery.callback_rules import CallbackRules, NotifyTarget, build_callback_rules
from signer.delivery.queue import EventQueue
from signer.delivery.receiver import CallbackReceiver, CallbackRequest
from signer.delivery.sqlite_queue import SqliteQueue
from signer.errors import Forbidden, RateLimited, TooLarge
from signer.signing.callback_field import CallbackProof, FormScope, add_proof
from signer.signing.object_key import KeyNaming, Template

TEMPLATE = "bucket=${bucket}&object=${object}&etag=${etag}"
BODY = b"bucket=photos&object=p%2Fa.jpg&etag=1"


def rules(app_id: str = "a", *, notify: bool = True) -> CallbackRules:
    return build_callback_rules(
        app_id=app_id,
        bucket="photos",
        naming=KeyNaming(Template.parse("p/")),
        urls=["https://sign.example.com/callback"],
        body=TEMPLATE,
        notify=NotifyTarget("https://app.example.com/", f"the secret of {app_id}".encode()) if notify else None,
    )


def target(rules: CallbackRules, key: str = "p/", *, is_exact: bool = False, expires_in: float = 600) -> str:
    """Return the request target of a callback of a form."""
    scope = FormScope("photos", key, is_exact, "anna", int(time.time() + expires_in))
    url = urlsplit(add_proof("https://x/callback", rules.proof_secret or b"", scope, app_id=rules.app_id))
    return f"{url.path}?{url.query}"


class Receiving:
    """A receiver, and what it called."""

    def __init__(self, queue: EventQueue) -> None:
        self.queue = queue
        self.calls: list[str] = []
        self.audited: list[dict[str, object]] = []
        self.outcomes: Counter[str] = Counter()
        self.allowed = 1_000
        self.receiver = CallbackReceiver(
            self,  # type: ignore[arg-type]
            queue,
            limit=self.limit,
            audit=self.audited.append,
            count_callback=lambda app_id, outcome: self.outcomes.update([f"{app_id} {outcome}"]),
        )

    async def limit(self, app_id: str, proof: CallbackProof | None) -> None:
        self.calls.append("limit")
        self.allowed -= 1
        if self.allowed < 0:
            raise RateLimited("too many requests")

    async def verify(self, headers: Mapping[str, str], targets: Sequence[str], body: bytes) -> None:
        self.calls.append("verify")
        if "Forged" in headers:
            raise Forbidden("the signature is wrong")

    async def receive(self, rules: CallbackRules, path: str, body: bytes = BODY, *, forged: bool = False) -> str:
        async def read_body() -> bytes:
            self.calls.append("read")
            if len(body) > 2**16:
                raise TooLarge("the body is too large")
            return body

        headers = {"Content-Type": "application/x-www-form-urlencoded", **({"Forged": "yes"} if forged else {})}
        return await self.receiver.receive(rules, CallbackRequest(path, headers, read_body))

    async def events(self) -> list[Any]:
        return [json.loads(each.event.body) for each in await self.queue.claim(100, {}, 100)]


@pytest.fixture
async def receiving(tmp_path: Path) -> AsyncIterator[Receiving]:
    queue = SqliteQueue.open(tmp_path / "q.db", lease_seconds=60, max_events=60)
    yield Receiving(queue)
    await queue.close()


async def test_repeats_of_a_callback_are_one_event(receiving: Receiving) -> None:
    app = rules()
    path = target(app)
    for _ in range(150):
        assert await receiving.receive(app, path) == "p/a.jpg"
    [event] = await receiving.events()
    assert (event["caller"], event["callback"]["etag"]) == ("anna", "1")
    assert receiving.outcomes == {"a accepted": 1, "a repeated": 149}
    assert [line["event_id"] for line in receiving.audited] == [event["id"]]


async def test_other_uploads_are_other_events(receiving: Receiving) -> None:
    app, other = rules(), rules("b")
    path = target(app)
    await receiving.receive(app, path)
    await receiving.receive(app, path, BODY + b"2")
    await receiving.receive(app, target(app, "p/a.jpg", is_exact=True))
    await receiving.receive(other, target(other))
    ids = [event["id"] for event in await receiving.events()]
    assert len(ids) == 2  # The others are for the same object, and wait for the first.
    assert set(receiving.outcomes) == {"a accepted", "b accepted"}
    assert receiving.outcomes.total() == 4
    assert len({line["event_id"] for line in receiving.audited}) == 4


@pytest.mark.parametrize(
    ("make_target", "reason"),
    [
        (lambda app: "/callback", "no form"),
        (lambda app: target(app)[:-1] + "x", "no form"),
        (lambda app: target(rules("b")), "no form"),
        (lambda app: target(app, expires_in=-1_000), "expired"),
    ],
    ids=["no proof", "forged proof", "proof of another app", "expired proof"],
)
async def test_callback_without_a_valid_proof_costs_nothing(
    receiving: Receiving, make_target: Any, reason: str
) -> None:
    """It counts against no limit, its body is not read, and its signature is not verified."""
    app = rules()
    with pytest.raises(Forbidden, match=reason):
        await receiving.receive(app, make_target(app))
    assert receiving.calls == []


async def test_limits_apply_before_the_signature_is_verified(receiving: Receiving) -> None:
    app = rules()
    receiving.allowed = 1
    with pytest.raises(Forbidden):
        await receiving.receive(app, target(app), forged=True)
    with pytest.raises(RateLimited):
        await receiving.receive(app, target(app))
    assert receiving.calls == ["limit", "read", "verify", "limit"]
    assert receiving.outcomes == {"a forbidden": 1, "a rate_limited": 1}


async def test_without_notify_the_signature_is_checked_before_the_limit(receiving: Receiving) -> None:
    """Such a callback has no proof, so a forged one must not count."""
    app = rules(notify=False)
    with pytest.raises(Forbidden):
        await receiving.receive(app, "/callback", forged=True)
    assert await receiving.receive(app, "/callback") == "p/a.jpg"
    assert receiving.calls == ["read", "verify", "read", "verify", "limit"]
    assert await receiving.events() == []


@pytest.mark.parametrize(
    "body",
    [
        b"bucket=other&object=p%2Fa.jpg&etag=1",
        b"bucket=photos&object=q%2Fa.jpg&etag=1",
        b"bucket=photos&object=p%2F&etag=1",
    ],
)
async def test_proof_is_for_its_own_objects(receiving: Receiving, body: bytes) -> None:
    app = rules()
    with pytest.raises(Forbidden, match="another object"):
        await receiving.receive(app, target(app), body)
    assert await receiving.events() == []
