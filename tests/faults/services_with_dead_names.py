"""Uses each kind of service while DNS does not respond to other names; test_dead_dns runs it in a namespace.

It prints the status of each request as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.callers import local_wechat
from tests.callers.local_wechat import LocalWeChat
from tests.callers.signing_keys import Keys, jwk, signed
from tests.harness.dns_server import dns_server
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.oss_upload import post_object
from tests.harness.ports import reserve_port
from tests.harness.redis_server import redis_server
from tests.harness.signer import LISTENING, signer

DEAD_ROLES = [f"dead{number}" for number in range(8)]
"""More than the threads of the event loop of Alibaba's SDKs."""
DEAD_TARGETS = ("one", "two")


def named(url: str, name: str) -> str:
    return url.replace("127.0.0.1", f"{name}.alive.test")


def definitions(cloud: Cloud, wx_app: str, jwks_url: str, redis_port: int, port: int, directory: Path) -> str:
    apps: dict[str, Any] = {f"of-{role}": {"key_prefix": "x/", "credentials": role} for role in DEAD_ROLES}
    for target in DEAD_TARGETS:
        apps[target] = {
            "key_prefix": f"{target}/",
            "callback": {
                "url": f"http://127.0.0.1:{port}/v1/apps/{target}/callback",
                "body": "bucket=${bucket}&object=${object}&etag=${etag}",
                "notify": {"url": f"http://{target}.dead.test/uploads", "secret": "s" * 32},
            },
        }
        callers = {"type": "jwt", "jwks_url": f"http://keys-of-{target}.dead.test/jwks", "audience": "a"}
        apps[f"login-{target}"] = {"key_prefix": "x/", "callers": callers}
    callers = {"type": "wechat", "secret": local_wechat.SECRET, "endpoint": named(cloud.wechat, "wechat")}
    rate_limit = {"per_app": "1000/m", "when_redis_is_gone": "closed"}
    apps[wx_app] = {"key_prefix": "{caller}/", "callers": callers, "rate_limit": rate_limit}
    apps["login"] = {"key_prefix": "x/", "callers": {"type": "jwt", "jwks_url": jwks_url, "audience": "a"}}
    dead = {
        role: {"type": "assume_role", "endpoint": f"http://{role}.dead.test", "timeout": "3s"} for role in DEAD_ROLES
    }
    return json.dumps(
        {
            "version": 1,
            "server": {
                "listen": f"127.0.0.1:{port}",
                "admin": "127.0.0.1:0",
                "callback_queue": str(directory / "queue.db"),
                "callback_keys": f"{cloud.oss}/-/",
            },
            "limits": f"redis://redis.alive.test:{redis_port}/0",
            "credentials": {**dead, "healthy": {"type": "assume_role", "endpoint": named(cloud.sts, "sts")}},
            "defaults": {
                "bucket": "photos",
                "region": "cn-hangzhou",
                "domain": f"{cloud.oss}/photos",
                "credentials": "healthy",
            },
            "apps": apps,
        }
    )


def definitions_with_redis(cloud: Cloud, redis_port: int) -> str:
    return json.dumps(
        {
            "version": 1,
            "server": {
                "listen": "127.0.0.1:0",
                "admin": "127.0.0.1:0",
                "callback_queue": "redis://queue.dead.test:6379/0",
            },
            "limits": f"redis://limits.alive.test:{redis_port}/0",
            "credentials": {"r": {"type": "assume_role", "endpoint": cloud.sts}},
            "apps": {
                "limited": {
                    "key_prefix": "x/",
                    "bucket": "photos",
                    "region": "cn-hangzhou",
                    "credentials": "r",
                    "rate_limit": {"per_app": "1000/m", "when_redis_is_gone": "closed"},
                }
            },
        }
    )


async def serve_jwks(keys: Keys) -> tuple[web.AppRunner, str]:
    app = web.Application()
    app.router.add_get("/jwks", lambda _request: _respond({"keys": [jwk(keys.ec, "1")]}))
    runner = web.AppRunner(app)
    await runner.setup()
    port = reserve_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner, f"http://jwks.alive.test:{port}/jwks"


async def _respond(document: object) -> web.Response:
    return web.json_response(document)


async def main(directory: Path) -> None:
    keys = Keys()
    token = {"Authorization": f"Bearer {signed(keys.ec, 'ES256', '1', aud='a')}"}
    async with (
        aiohttp.ClientSession() as session,
        dns_server() as dns,
        local_cloud(session, "--bucket", "photos=cn-hangzhou") as cloud,
        redis_server(directory / "redis") as redis,
    ):
        wechat = LocalWeChat(cloud.wechat, session)
        wx_app = await wechat.app()
        runner, jwks_url = await serve_jwks(keys)
        (directory / "signer.yaml").write_text(
            definitions(cloud, wx_app, jwks_url, redis.port, reserve_port(), directory), encoding="utf-8"
        )
        async with signer(session, directory / "signer.yaml", wait_for=LISTENING) as running:
            await dns.wait_for(*(f"{role}.dead.test" for role in DEAD_ROLES[:6]))
            logins = [
                asyncio.create_task(running.try_upload_form(f"login-{each}", headers=token)) for each in DEAD_TARGETS
            ]
            await dns.wait_for(*(f"keys-of-{each}.dead.test" for each in DEAD_TARGETS))
            statuses = {}
            for target in DEAD_TARGETS:
                form = await running.upload_form(target, {"filename": "a.jpg"})
                statuses[f"upload of {target}"] = (await post_object(session, form["url"], form["fields"], b"x"))[0]
            await dns.wait_for(*(f"{each}.dead.test" for each in DEAD_TARGETS))
            code = {"X-WX-Code": await wechat.code(wx_app)}
            statuses["WeChat login"] = (await running.try_upload_form(wx_app, headers=code))[0]
            statuses["JWT login"] = (await running.try_upload_form("login", headers=token))[0]
            statuses["dead JWT login"] = max([(await each)[0] for each in logins])
        (directory / "redis.yaml").write_text(definitions_with_redis(cloud, redis.port), encoding="utf-8")
        async with signer(session, directory / "redis.yaml", wait_for=LISTENING) as running:
            await dns.wait_for("queue.dead.test", queries=6)
            statuses["limits in Redis"] = (await running.try_upload_form("limited"))[0]
        await runner.cleanup()
    print(json.dumps(statuses))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
