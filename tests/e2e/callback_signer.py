"""`python -m tests.e2e.callback_signer '{"listen": ..., "queue": ..., "apps": {...}}'`: a signer that takes callbacks.

It prints its address as a JSON line once it listens, and runs until SIGTERM or until it is killed.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from aiohttp import web

from signer import logs
from signer.callbacks.receiver import Receiver
from signer.callbacks.rules import CallbackRules, Target, callback_rules
from signer.callbacks.taking import taking_callbacks
from signer.definitions.parse import parse
from signer.environment import Environment
from signer.object_key import PREFIX_PLACEHOLDERS, KeyNaming, Template
from signer.outbound import new_session
from signer.service import Service
from signer.web.callback import callback_handler
from signer.web.exchange import Exchange
from signer.web.front import Front
from signer.web.listeners import runner
from signer.web.request_log import RequestLog
from signer.web.routing import Routes
from signer.web.server import listening
from signer.web.wishes import MAX_BODY_BYTES

REGISTRY = """
version: 1
credentials: {none: {type: static, access_key_id: a, access_key_secret: b}}
apps: {unused: {bucket: photos, region: cn-hangzhou, credentials: none, enabled: false}}
"""


def rules_of(app_id: str, app: dict[str, Any]) -> CallbackRules:
    notify = app.get("notify")
    return callback_rules(
        app_id=app_id,
        bucket=app["bucket"],
        naming=KeyNaming(
            Template.parse(app.get("key_prefix", ""), PREFIX_PLACEHOLDERS),
            Template.parse(app["key"]) if "key" in app else None,
        ),
        url=app["url"],
        body=app["body"],
        body_type=app.get("body_type", "application/x-www-form-urlencoded"),
        notify=None if notify is None else Target(notify["url"], notify["secret"].encode()),
        proof_secret=app["proof_secret"].encode() if "proof_secret" in app else None,
    )


async def main(options: dict[str, Any]) -> None:
    rules = {app_id: rules_of(app_id, app) for app_id, app in options["apps"].items()}
    service = Service(parse({"f": REGISTRY}, {}), Environment({}, None))
    counts: Counter[str] = Counter()
    async with (
        new_session() as outbound,
        taking_callbacks(
            outbound,
            queue_address=options["queue"],
            target=lambda app_id: rules[app_id].notify if app_id in rules else None,
            audit=lambda event: print(json.dumps({"audit": event}), flush=True),
            count=lambda app_id, outcome: counts.update([f"{app_id} {outcome}"]),
            count_attempt=lambda outcome: counts.update([f"notify {outcome}"]),
            keys_also_below=options["keys_below"],
            most_events=options.get("most_events", 100_000),
            timeout_seconds=options.get("timeout_seconds", 10.0),
            first_retry_seconds=options.get("first_retry_seconds", 1.0),
        ) as (receiver, depth),
    ):
        await serve(options["listen"], service, rules, receiver, lambda: {"counts": counts, "depth": depth()})
    await service.close()


async def serve(
    listen: str,
    service: Service,
    rules: dict[str, CallbackRules],
    receiver: Receiver,
    said: Callable[[], dict[str, Any]],
) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    def rules_for(exchange: Exchange) -> CallbackRules | None:
        return rules.get(exchange.parameter)

    async def state(_exchange: Exchange) -> web.Response:
        return web.json_response(said())

    routes = Routes()
    routes.add("POST", "/v1/apps/{app_id}/callback", callback_handler(receiver, rules_for))
    routes.add("GET", "/state", state)
    request_log = RequestLog()
    with listening(listen) as sock:
        serving = runner(Front(service, routes, request_log), max_body_bytes=MAX_BODY_BYTES)
        await serving.setup()
        await web.SockSite(serving, sock).start()
        print(json.dumps({"address": "http://{}:{}".format(*sock.getsockname()[:2])}), flush=True)
        await stop.wait()
        await serving.cleanup()
    await request_log.close()


if __name__ == "__main__":
    logs.set_up()
    asyncio.run(main(json.loads(sys.argv[1])))
