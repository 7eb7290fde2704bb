"""`POST /v1/apps/{app_id}/callback`: OSS tells of an upload."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from signer.callbacks.receiver import Received, Receiver
from signer.callbacks.rules import CallbackRules
from signer.errors import NotFound, TooLarge
from signer.web.exchange import Exchange, Handler
from signer.web.reply import Reply, json_reply
from signer.web.wishes import whole_body


def callback_handler(receiver: Receiver, rules_of: Callable[[Exchange], CallbackRules | None]) -> Handler:
    """`rules_of` gives the callback rules of the app that the path names, None where it has no callback."""

    async def callback(exchange: Exchange) -> Reply:
        rules = rules_of(exchange)
        if rules is None:
            raise NotFound("this app takes no callbacks; give it callback")
        exchange.app = rules.app_id
        request = exchange.request

        async def read_body() -> bytes:
            try:
                return await whole_body(request)
            except web.HTTPRequestEntityTooLarge:
                raise TooLarge("the callback's body is too large") from None

        received = Received(request.raw_path, request.headers, read_body, exchange.address, exchange.request_id)
        key = await receiver.receive(rules, received)
        return json_reply({"ok": True, "key": key})

    return callback
