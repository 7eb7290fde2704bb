"""What people meet in public, as one table: the situation, the input, and the right answer.

One signer, one local cloud and one key set of another service serve all requests. The details of each row are tested
where its code is tested.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from signer.cli import main
from tests.e2e.situation_place import API_KEY, AZURE, DOCX, FIREBASE, KEYCLOAK, Place, running_place
from tests.harness.processes import run
from tests.harness.programs import require_program
from tests.harness.signer import Entry
from tests.harness.waiting import deadline, wait_until

BOM = "\ufeff"
FAMILY = "👨\u200d👩\u200d👧"
MINE = "/v1/apps/mine/downloads?key=u/backend/"


@dataclass(frozen=True)
class Request:
    """A request to the signer. A `token` is one of `Place.tokens`."""

    method: str
    path: str
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    token: str = ""


def upload(app: str, body: dict[str, Any] | None = None, token: str = "", **headers: str) -> Request:
    """Return the request for an upload form of an app."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("POST", f"/v1/apps/{app}/uploads", body or {}, named, token)


# Situation, request, status of the response, and some of its members and headers: texts, or patterns.
REQUESTS: list[tuple[str, Request, int, dict[str, Any]]] = [
    ("HEAD probe", Request("HEAD", "/generate_signature?app_id=open"), 200, {"body": ""}),
    ("JWKS URL with @ (Firebase)", upload("firebase", token="RS256"), 201, {}),
    ("JWKS URL with a query (Azure AD B2C)", upload("azure", token="RS256"), 201, {}),
    ("JWKS URL with % (Keycloak)", upload("keycloak", token="RS256"), 201, {}),
    ("a token without kid", upload("firebase", token="RS256 without kid"), 201, {}),
    ("PEM with literal \\n", upload("pem", token="RS256"), 201, {}),
    ("Base64 secret", upload("base64", token="HS256 of a binary key"), 201, {}),
    (
        "Auth0's sub",
        upload("hashed", token="auth0|123"),
        201,
        {"fields.key": re.compile("users/" + sha256(b"auth0|123").hexdigest()[:32] + "/.+")},
    ),
    ("webp by name", upload("typed", {"filename": "a.webp"}), 201, {"fields.x-oss-content-type": "image/webp"}),
    ("docx by name", upload("typed", {"filename": "a.docx"}), 201, {"fields.x-oss-content-type": DOCX}),
    (
        "a new emoji in a name",
        upload("open", {"filename": "🩷🫨.jpg"}),
        201,
        {"fields.key": re.compile("open/.+-🩷🫨.jpg")},
    ),
    (
        "a joined emoji in a name",
        upload("open", {"filename": f"{FAMILY}.jpg"}),
        201,
        {"fields.key": re.compile(f"open/.+-{FAMILY}.jpg")},
    ),
    ("rare Han in a name", upload("open", {"filename": "𰻞.jpg"}), 201, {"fields.key": re.compile("open/.+-𰻞.jpg")}),
    ("a new emoji is downloaded", Request("GET", f"{MINE}🩷🫨.jpg", headers={"X-Api-Key": API_KEY}), 200, {}),
    ("a joined emoji is downloaded", Request("GET", f"{MINE}{FAMILY}.jpg", headers={"X-Api-Key": API_KEY}), 200, {}),
    (
        "null members",
        upload("open", {"filename": None, "content_type": None, "size": None, "meta": None}),
        201,
        {"fields.key": re.compile("open/.+")},
    ),
    ("large cookies", upload("open", Cookie="session=" + "a" * 32 * 1024), 201, {}),
    (
        "X-Requested-With",
        Request(
            "OPTIONS",
            "/v1/apps/web/uploads",
            headers={
                "Origin": "https://h5.example.com",
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "x-requested-with, cache-control",
            },
        ),
        204,
        {"header Access-Control-Allow-Headers": re.compile(".*X-Requested-With.*", re.DOTALL)},
    ),
    (
        "capacitor origin",
        upload("web", Origin="capacitor://localhost"),
        201,
        {"header Access-Control-Allow-Origin": "capacitor://localhost"},
    ),
]

# Situation, X-Forwarded-For from a trusted proxy, and the client's address in the log.
FORWARDED = [
    ("IPv4-mapped proxy", "203.0.113.7, ::ffff:127.0.0.1", "203.0.113.7"),
    ("IPv4-mapped client", "::ffff:203.0.113.7", "203.0.113.7"),
    ("ip:port hops", "203.0.113.7:51234, 127.0.0.1:8080", "203.0.113.7"),
    ("[ip]:port hop", "[2001:db8::7]:51234", "2001:db8::7"),
]

# Situation, status of a request for a metadata token, and the error of the role.
METADATA = [
    (
        "metadata 404",
        404,
        "issues no metadata token (404): it has only the normal mode (v1), which the signer never uses",
    ),
    ("metadata 405", 405, "does not accept PUT for a metadata token (405): there is a proxy in between"),
]

# Situation, settings of an app, exit status of `check`, and a part of its output.
CHECKS: list[tuple[str, dict[str, Any], int, str]] = [
    ("-internal region", {"region": "cn-shanghai-internal"}, 1, "not a region id but an endpoint; write cn-shanghai"),
    (
        "accelerate without bucket",
        {"domain": "https://oss-accelerate.aliyuncs.com"},
        1,
        "endpoint without a bucket; write https://photos.oss-accelerate.aliyuncs.com",
    ),
    ("tagging in a form", {"headers": {"x-oss-tagging": "a=b"}}, 1, "OSS does not accept tags in a form; remove it"),
    (
        "comma-listed types",
        {"content_types": "image/jpeg,image/png"},
        1,
        "text is here instead of a list; put it in [ ]",
    ),
    ("comma-listed types in a list", {"content_types": ["image/jpeg,image/png"]}, 1, "write each as its own"),
    ("JWKS URL with @", {"callers": {"type": "jwt", "jwks_url": f"https://www.googleapis.com{FIREBASE}"}}, 0, "1 app"),
    ("JWKS URL with a query", {"callers": {"type": "jwt", "jwks_url": f"https://b2c.example.com{AZURE}"}}, 0, "1 app"),
    ("JWKS URL with %", {"callers": {"type": "jwt", "jwks_url": f"https://sso.example.com{KEYCLOAK}"}}, 0, "1 app"),
    ("capacitor origin", {"cors_origins": ["capacitor://localhost"]}, 0, "1 app"),
    (
        "BOM in secret",
        {"callers": {"type": "wechat", "secret": "${file:SECRET}"}},
        0,
        "callers.secret: the invisible character U+FEFF at the start or end is ignored; delete it",
    ),
    ("BOM in env file", {"name": "${NAME}"}, 0, "1 app"),
    ("BOM in YAML", {}, 0, "1 app"),
]


@pytest.mark.parametrize(("situation", "settings", "status", "words"), CHECKS, ids=[row[0] for row in CHECKS])
def test_check(
    situation: str,
    settings: dict[str, Any],
    status: int,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "secret").write_text(f"{BOM}0123456789abcdef0123456789abcdef\n", encoding="utf-8")
    (tmp_path / "environment").write_text(f"{BOM}NAME=Photos\n", encoding="utf-8")
    config = write_definitions(tmp_path, settings, is_marked=situation == "BOM in YAML")
    assert main(["check", str(config), "--env-file", str(tmp_path / "environment")]) == status
    printed = capsys.readouterr()
    assert words in printed.out + printed.err


def write_definitions(directory: Path, settings: dict[str, Any], *, is_marked: bool = False) -> Path:
    """Write definitions with one app, as JSON, which is YAML; `is_marked` starts them with a byte order mark."""
    app = {"bucket": "photos", "region": "cn-hangzhou", "key_prefix": "a/", "credentials": "r"} | settings
    definitions = {"version": 1, "credentials": {"r": {"type": "ecs_ram_role"}}, "apps": {"a": app}}
    text = json.dumps(definitions).replace("SECRET", str(directory / "secret"))
    (config := directory / "signer.yaml").write_text((BOM if is_marked else "") + text, encoding="utf-8")
    return config


async def test_single_file_mount(tmp_path: Path) -> None:
    """`check` in a mount namespace of its own, as in a container with `-v signer.yaml:/etc/oss-signer/signer.yaml`."""
    config = write_definitions(tmp_path, {})
    script = 'mount --bind "$1" "$1" && exec "$2" run.py check "$1"'
    ended = await run(require_program("unshare"), "-rm", "sh", "-c", script, "sh", config, sys.executable)
    if ended.status != 0 and "unshare" in ended.err:
        pytest.skip("this system allows no mount namespaces")
    assert ended.status == 0, ended.err
    assert "this file is mounted by itself" in ended.err


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with running_place(tmp_path_factory.mktemp("situations")) as running:
        yield running


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("request_", "status", "expected"), [row[1:] for row in REQUESTS], ids=[row[0] for row in REQUESTS]
)
async def test_request(place: Place, request_: Request, status: int, expected: dict[str, Any]) -> None:
    authorization = {"Authorization": f"Bearer {place.tokens[request_.token]}"} if request_.token else {}
    async with place.running.session.request(
        request_.method,
        place.running.public + request_.path,
        json=request_.body,
        headers=request_.headers | authorization,
    ) as response:
        text = await response.text()
        assert response.status == status, text
        for name, value in expected.items():
            found = text if name == "body" else response.headers.get(name.removeprefix("header "))
            if "." in name:
                found = json.loads(text)
                for member in name.split(".", 1):
                    found = found[member]
            assert value.fullmatch(found) if isinstance(value, re.Pattern) else found == value, (name, found)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("hops", "address"), [row[1:] for row in FORWARDED], ids=[row[0] for row in FORWARDED])
async def test_forwarded_address(place: Place, hops: str, address: str) -> None:
    request = upload("open", X_Forwarded_For=hops)
    async with place.running.session.post(
        place.running.public + request.path, json=request.body, headers=request.headers
    ) as response:
        assert response.status == 201
        request_id = response.headers["X-Request-Id"]

    def logged() -> list[Entry]:
        return [entry for entry in place.running.log("request") if entry.get("request_id") == request_id]

    assert (await wait_until(logged))[0]["address"] == address


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("status", "words"), [row[1:] for row in METADATA], ids=[row[0] for row in METADATA])
async def test_metadata(place: Place, status: int, words: str) -> None:
    await place.cloud.set_metadata_token(status)
    async with place.running.session.post(f"{place.running.admin}/-/refresh?role=instance&keep=true") as response:
        document = await response.json()
        assert (response.status, document["roles"][0]["outcome"]) == (503, "failed")
    await place.cloud.set_metadata_token(None)
    assert words in document["roles"][0]["error"]
    assert "attach a RAM role" not in document["roles"][0]["error"]
    # The log is written a moment later.
    await wait_until(lambda: any(words in entry["error"] for entry in place.running.log("credential refresh failed")))


@pytest.mark.asyncio(loop_scope="module")
async def test_expect_100_continue(place: Place) -> None:
    """The client sends its body only after 100 Continue, as curl does for large ones."""
    host, _, port = place.running.public.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    with contextlib.closing(writer):
        head = "POST /v1/apps/open/uploads HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        writer.write(head.encode())
        async with deadline():
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"{}")
            assert (await reader.readline()).startswith(b"HTTP/1.1 201 ")
