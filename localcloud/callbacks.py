"""Upload callbacks: sends the signed call, and gives its result to the client.

`/-/callback_pub_key_v1.pem` is the public key of the signatures. `GET /-/callbacks` returns the calls, so that tests
can replay them byte by byte. `POST /-/callbacks` with `{"url": "...", "body": "...", "body_type": "..."}` sends a call
without an upload: every customer of OSS can do that, with constants instead of variables.
See: https://help.aliyun.com/zh/oss/developer-reference/callback
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from urllib.parse import quote, unquote_to_bytes

import aiohttp
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import MD5
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from yarl import URL

from localcloud.callback_config import FORM, JSON, VARIABLE, Callback, is_url
from localcloud.control_json import bad_request, read_json
from localcloud.image_info import HEAD_BYTES, image_info
from localcloud.objects import Objects, StoredObject
from localcloud.oss_errors import OssError
from localcloud.world import World

_KEY_PATH = "/-/callback_pub_key_v1.pem"
_KEY_BITS = 2048
_MAX_RESPONSE_BYTES = 2**20
"""The page gives both 3 MB and 1 MB: the stricter reading applies."""
_MAX_CALLS = 10_000

Variables = Mapping[str, str | int]
REQUEST_ID = web.RequestKey("REQUEST_ID", str)


@dataclass(frozen=True, slots=True)
class CallbackCall:
    """One call as it was sent, and its result."""

    url: str
    headers: dict[str, str]
    body: str
    status: int | None = None
    answer: str = ""
    failure: str | None = None
    """The error message for the client, as OSS words it."""


def render_body(callback: Callback, values: Variables) -> str:
    """Return the body with its variables replaced: URL-encoded in a form, JSON literals in JSON."""

    def value(match: re.Match[str]) -> str:
        found = values.get(match[1], "")
        return json.dumps(found, ensure_ascii=False) if callback.body_type == JSON else quote(str(found), safe="")

    return VARIABLE.sub(value, callback.body)


class Callbacks:
    """Sends the calls, signed with its own key."""

    def __init__(self, world: World, objects: Objects) -> None:
        self._world = world
        self._objects = objects
        self._key_lock = asyncio.Lock()
        self._key: rsa.RSAPrivateKey | None = None
        self._calls: deque[CallbackCall] = deque(maxlen=_MAX_CALLS)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(_KEY_PATH, self.public_key),
            web.get("/-/callbacks", self.show),
            web.post("/-/callbacks", self.forge),
        ]

    async def public_key(self, _request: web.Request) -> web.Response:
        key = (await self._private_key()).public_key()
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return web.Response(body=pem, content_type="application/octet-stream")

    async def show(self, _request: web.Request) -> web.Response:
        return web.json_response([asdict(call) for call in self._calls])

    async def forge(self, request: web.Request) -> web.Response:
        given = await read_json(request)
        members = {"body_type": FORM, **given} if isinstance(given, dict) else {}
        if set(members) != {"url", "body", "body_type"} or not all(isinstance(each, str) for each in members.values()):
            return bad_request("the members are the texts url, body and optionally body_type")
        if not is_url(members["url"]):
            return bad_request("url must be an HTTP URL")
        callback = Callback((members["url"],), members["body"], members["body_type"])
        return web.json_response(asdict(await self._call(request, callback, callback.urls[0], callback.body)))

    async def send(
        self, request: web.Request, operation: str, callback: Callback, bucket: str, stored: StoredObject
    ) -> web.Response:
        """Call the URLs in turn until one succeeds, and return its response. Raise `OssError` if all fail."""
        values = await asyncio.to_thread(self._variables, bucket, stored, request[REQUEST_ID], operation)
        body = render_body(callback, {**values, **callback.variables})
        message, ec = "", ""
        for url in callback.urls:
            call = await self._call(request, callback, url, body)
            if call.failure is None:
                headers = {"ETag": stored.etag, "x-oss-hash-crc64ecma": stored.crc64}
                return web.Response(text=call.answer, content_type="application/json", headers=headers)
            message, ec = call.failure, "" if call.status in (None, 200) else "0007-00000203"
        raise OssError(203, "CallbackFailed", message, ec)

    def _variables(self, bucket: str, stored: StoredObject, request_id: str, operation: str) -> Variables:
        """Return the system variables. `imageInfo` is empty for files that are not images."""
        with self._objects.file(bucket, stored.key).open("rb") as stream:
            image = image_info(stream.read(HEAD_BYTES))
        return {
            "bucket": bucket,
            "object": stored.key,
            "etag": stored.etag.strip('"'),
            "size": stored.size_bytes,
            "mimeType": stored.content_type,
            "crc64": stored.crc64,
            "reqId": request_id,
            "operation": operation,
            "imageInfo.height": image.height if image else "",
            "imageInfo.width": image.width if image else "",
            "imageInfo.format": image.format if image else "",
        }

    async def _call(self, request: web.Request, callback: Callback, url: str, body: str) -> CallbackCall:
        """Send one call, without following redirects. The response must arrive within the time limit."""
        self._world.counts["oss.Callback"] += 1
        whole = url if "://" in url else f"http://{url}"
        address = URL(whole, encoded=True)
        headers = {
            "Content-Type": callback.body_type,
            "User-Agent": "ehttp-client/0.0.1",
            "Connection": "close",
            "x-oss-pub-key-url": base64.b64encode((_own_address(request) + _KEY_PATH).encode()).decode(),
            "Authorization": await self._signature(address, body.encode()),
        }
        if callback.host is not None:
            headers["Host"] = callback.host
        limit = self._world.callback_seconds
        started = time.monotonic()
        status, answer = None, b""
        try:
            async with asyncio.timeout(limit), aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
                posting = session.post(address, data=body.encode(), headers=headers, allow_redirects=False)
                async with posting as response:
                    status = response.status
                    failure = _failure(response)
                    if failure is None:
                        answer = await response.read()
                        failure = _json_failure(answer)
        except TimeoutError:
            cost, most = round((time.monotonic() - started) * 1000), round(limit * 1000)
            status = None
            failure = f"Error status : -1 {address.authority} reply timeout, cost: {cost} ms, timeout: {most} ms."
        except (aiohttp.ClientError, OSError):
            status, failure = None, "Error status : -1. OSS can not connect to your callbackUrl, please check it."
        call = CallbackCall(whole, headers, body, status, answer.decode(errors="replace"), failure)
        self._calls.append(call)
        return call

    async def _signature(self, address: URL, body: bytes) -> str:
        """Base64 of RSA (PKCS #1 v1.5, MD5) over the decoded path, the query as it is with its `?`, `\\n`, the body."""
        query = b"?" + address.raw_query_string.encode() if address.raw_query_string else b""
        text = unquote_to_bytes(address.raw_path) + query + b"\n" + body
        key = await self._private_key()
        return base64.b64encode(key.sign(text, padding.PKCS1v15(), MD5())).decode()  # noqa: S303 (OSS uses MD5)

    async def _private_key(self) -> rsa.RSAPrivateKey:
        async with self._key_lock:
            if self._key is None:
                self._key = await asyncio.to_thread(rsa.generate_private_key, 65537, _KEY_BITS)
        return self._key


def _own_address(request: web.Request) -> str:
    host, port = request.transport.get_extra_info("sockname")[:2] if request.transport else ("127.0.0.1", 0)
    return f"{request.scheme}://{host}:{port}"


def _failure(response: aiohttp.ClientResponse) -> str | None:
    """Return what is wrong with the status or headers of a response."""
    if response.status != 200:
        return f"Error status : {response.status}."
    length = response.headers.get("Content-Length", "")
    if not length.isdecimal() or int(length) > _MAX_RESPONSE_BYTES:
        return "Error Status : 400.User server return too long content-length value."
    return None


def _json_failure(answer: bytes) -> str | None:
    try:
        json.loads(answer.decode())
    except (ValueError, RecursionError):
        return "Response body is not valid json format."
    return None
