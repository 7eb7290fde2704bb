"""Runs the signer, sends it requests, and reads its log."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.harness.processes import Completed, Process, launch, run
from tests.harness.waiting import wait_until

LOCAL_ENVIRON = {
    "OSS_ACCESS_KEY_ID": "LTAI-local",
    "OSS_ACCESS_KEY_SECRET": "local-secret",
    "OSS_STS_ROLE_ARN": "acs:ram::1234567890123456:role/oss-upload",
    "ADMIN_TOKEN": "admin-token-of-the-tests",
    "SIGNER_SECRET": "secret-of-the-signers-of-the-tests",
    "NOTIFY_SECRET": "notify-secret-of-the-tests",
}
"""The AccessKey and the role that the local cloud has from its start, and what the examples of the docs refer to."""
LISTENING, READY = "listening", "ready"
"""Log events: the sockets accept connections; the first fetches of all credentials have ended."""

Entry = dict[str, Any]
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass(frozen=True)
class Signer:
    """A running signer."""

    public: str
    admin: str
    process: Process
    session: aiohttp.ClientSession
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with each request to the admin listener."""

    @property
    def output(self) -> list[str]:
        """The lines that it has logged so far."""
        return self.process.errors

    async def upload_form(
        self, app_id: str, request: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Request a form for an upload."""
        status, body = await self.try_upload_form(app_id, request, headers)
        assert status == 201, body
        return body

    async def try_upload_form(
        self, app_id: str, request: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Request a form for an upload, and return the status and the body, which may be a problem."""
        url = f"{self.public}/v1/apps/{app_id}/uploads"
        async with self.session.post(url, json=request or {}, headers=headers) as response:
            return response.status, await response.json(content_type=None)

    async def upload_status(self, app_id: str) -> int:
        """Request a form for an upload, and return only the status."""
        return (await self.try_upload_form(app_id))[0]

    async def reload(self) -> tuple[int, dict[str, Any]]:
        """Call `POST /-/reload`, and return the status and the outcome."""
        async with self.session.post(f"{self.admin}/-/reload", headers=self.headers) as response:
            return response.status, await response.json()

    async def readiness(self) -> tuple[int, dict[str, Any]]:
        """Return the status and the body of `GET /readyz`."""
        async with self.session.get(f"{self.admin}/readyz", headers=self.headers) as response:
            return response.status, await response.json()

    async def is_ready(self) -> bool:
        """Return whether the status of `GET /readyz` is 200."""
        return (await self.readiness())[0] == 200

    async def status(self, query: str = "") -> dict[str, Any]:
        """Return `GET /status` as programs get it."""
        headers = {**self.headers, "Accept": "application/json"}
        async with self.session.get(f"{self.admin}/status{query}", headers=headers) as response:
            assert response.content_type == "application/json"
            status: dict[str, Any] = await response.json()
            return status

    async def last_reload(self) -> dict[str, Any]:
        """Return the outcome of the last reload, as /status shows it."""
        last: dict[str, Any] = (await self.status())["last_reload"]
        return last

    async def metrics_text(self) -> str:
        """Return `GET /metrics`."""
        async with self.session.get(f"{self.admin}/metrics", headers=self.headers) as response:
            assert response.status == 200
            return await response.text()

    async def samples(self) -> Samples:
        """Return the metrics by name and labels, as prometheus_client parses them."""
        families = text_string_to_metric_families(await self.metrics_text())
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }

    async def metric(self, name: str, **labels: str) -> float:
        """Return one sample of a metric, whose name is given without `oss_signer_`."""
        return (await self.samples())[f"oss_signer_{name}", frozenset(labels.items())]

    def log(self, *messages: str, since: int = 0) -> list[Entry]:
        """Return the log entries from line `since` on whose message starts with one of these texts."""
        return [entry for entry in entries(self.output[since:]) if entry["message"].startswith(messages or "")]

    async def wait_for_log(self, *messages: str, since: int = 0) -> Entry:
        """Return the first such log entry, once it is logged."""
        return (await wait_until(lambda: self.log(*messages, since=since)))[0]

    async def stop(self) -> int:
        """Send SIGTERM, and return the exit status."""
        return await self.process.stop()


def entries(lines: list[str]) -> Iterator[Entry]:
    """Yield the lines of a log that are JSON objects."""
    for line in lines:
        with contextlib.suppress(ValueError):
            yield json.loads(line)


@contextlib.asynccontextmanager
async def signer(
    session: aiohttp.ClientSession,
    config: object,
    *arguments: object,
    environ: Mapping[str, str] | None = None,
    wait_for: str = READY,
    admin_token: str | None = None,
    prefix: Sequence[object] = (),
) -> AsyncIterator[Signer]:
    """Run `python run.py serve --config CONFIG`, and enter the block once it has logged the event `wait_for`.

    Args:
        prefix: A command that runs the signer, such as `prlimit --nofile=256`.
    """
    command = (*prefix, sys.executable, "run.py", "serve", "--config", config, *arguments)
    headers = {} if admin_token is None else {"Authorization": f"Bearer {admin_token}"}
    async with launch(*command, environ={**LOCAL_ENVIRON, **(environ or {})}) as process:

        def has_started() -> bool:
            return process.returncode is not None or any(
                entry["message"] == wait_for for entry in entries(process.errors)
            )

        await wait_until(has_started)
        addresses = next((entry for entry in entries(process.errors) if entry["message"] == LISTENING), None)
        assert addresses is not None, "".join(process.errors)
        yield Signer(addresses["public"], addresses["admin"], process, session, headers)


async def run_command(*arguments: object, environ: Mapping[str, str] | None = None) -> Completed:
    """Run `python run.py ARGUMENTS` to its end."""
    completed = await run(sys.executable, "run.py", *arguments, environ=environ)
    assert "Traceback" not in completed.err, completed.err
    return completed
