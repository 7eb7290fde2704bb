"""`POST /v1/apps/{app_id}/callback`: OSS tells of an upload."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from signer.delivery.callback_rules import CallbackRules
from signer.delivery.receiver import CallbackReceiver, CallbackRequest
from signer.errors import NotFound
from signer.http.exchange import Exchange, Handler
from signer.http.reply import Reply, json_reply
from signer.http.request_body import whole_body


def callback_handler(receiver: CallbackReceiver, rules_of: Callable[[Exchange], CallbackRules | None]) -> Handler:
    """`rules_of` gives the callback rules of the app that the path names, None where it has no callback."""

    async def callback(exchange: Exchange) -> Reply:
        rules = rules_of(exchange)
        if rules is None:
            raise NotFound("this app takes no callbacks; give it callback")
        exchange.app = rules.app_id

        def read_body() -> Awaitable[bytes]:
            return whole_body(exchange.body)

        received = CallbackRequest(
            exchange.raw_path, exchange.headers, read_body, exchange.client_address, exchange.request_id
        )
        key = await receiver.receive(rules, received)
        return json_reply({"ok": True, "key": key})

    return callback
