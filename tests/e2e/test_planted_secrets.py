"""No response, page, metric, log line, audit line or crash of a running signer shows a secret of the definitions."""

from __future__ import annotations

import base64
import json
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.harness.files import write
from tests.harness.planted_secrets import Planter, edits, leaks, with_references
from tests.harness.signer import LISTENING, LOCAL_ENVIRON, Signer, run_command, signer
from tests.harness.waiting import wait_until

_CREDENTIALS: tuple[dict[str, str], ...] = (
    {},
    {"X-WX-Code": "a-code"},
    {"X-Session": "a-session"},
    {"Authorization": f"Bearer {'.'.join(base64.urlsafe_b64encode(part).decode() for part in (b'{}', b'{}', b'x'))}"},
    {"X-Api-Key": "a-key", "X-Caller": "ann"},
)
_EDITS = ("misspelt keys", "lists", "an open quote", "defaults", "one line", "nothing")


async def every_page(running: Signer) -> list[str]:
    """Return what the admin listener shows, with the headers."""
    shown = []
    for path in ("/status", "/status?q=with", "/-/definitions", "/readyz", "/healthz", "/metrics", "/nowhere"):
        for accept in ("application/json", "text/html"):
            headers = {**running.headers, "Accept": accept}
            async with running.session.get(running.admin + path, headers=headers) as response:
                shown.append(f"{response.headers} {await response.text()}")
    return shown


async def every_answer(running: Signer, apps: list[str]) -> list[str]:
    """Return what clients of the public listener get, rightly or wrongly."""
    shown = []
    for app in apps:
        for headers in _CREDENTIALS:
            for method, path in (
                ("POST", f"/v1/apps/{app}/uploads"),
                ("GET", f"/v1/apps/{app}/downloads?key=a"),
                ("POST", f"/v1/apps/{app}/downloads"),
                ("DELETE", f"/v1/apps/{app}/objects?key=a"),
                ("POST", f"/v1/apps/{app}/callback"),
                ("GET", f"/generate_signature?app_id={app}"),
            ):
                body = b'{"filename": "a.jpg"}' if method == "POST" else None
                async with running.session.request(
                    method, running.public + path, headers=headers, data=body
                ) as response:
                    shown.append(f"{response.headers} {await response.text()}")
    return shown


def definitions(directory: Path, planter: Planter) -> dict[str, Any]:
    document = planter.definitions()
    del document["credentials"]["static"]["security_token"]  # which is a part of each form
    document["audit"] = str(directory / "audit.log")
    return document


@pytest.mark.parametrize("how", ["in the file", "as references"])
async def test_nothing_shows_a_secret(how: str, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    planter, other = Planter(), Planter(first=200)
    document, edited = definitions(tmp_path, planter), definitions(tmp_path, other)
    token = document["server"]["admin_token"]
    environ = dict(LOCAL_ENVIRON)
    if how == "as references":
        document, edited = with_references(document, planter.planted), with_references(edited, other.planted)
        environ |= planter.planted | other.planted
    edited["server"] = document["server"]  # a change of it needs a new start
    write(config := tmp_path / "signer.yaml", dict(edits(document))["nothing"])
    shown: list[str] = []
    async with signer(session, config, environ=environ, wait_for=LISTENING, admin_token=token) as running:
        shown += await every_answer(running, list(document["apps"]))
        shown += await every_page(running)
        for name in _EDITS:
            write(config, dict(edits(edited))[name])
            status, outcome = await running.reload()
            assert status in (200, 422)
            checked = await run_command(
                *("check", "--config", config, "--diff", running.admin),
                environ={**environ, "OSS_SIGNER_ADMIN_TOKEN": token},
            )
            shown += [json.dumps(outcome), checked.out, checked.err, *await every_page(running)]
        assert any(entry["changes"] for entry in running.log("definitions reloaded"))
        assert await running.metric("config_last_reload_successful") == 1
        shown += await every_answer(running, list(document["apps"]))
        await wait_until(lambda: (tmp_path / "audit.log").exists())
        running.process.send_signal(signal.SIGABRT)
        await wait_until(lambda: running.process.returncode is not None)
        assert "Fatal Python error: Aborted" in "".join(running.output)
        shown += [*running.output, *running.process.output]
    shown += [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.log")]
    assert len(shown) > 500
    for text in shown:
        assert leaks(text) == [], text
