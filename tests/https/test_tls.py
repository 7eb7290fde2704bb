"""HTTPS without a proxy: protocols, renewed certificates, and certificates that are rejected."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio

from signer.cli import main
from tests.e2e.revisions import HEAD, app
from tests.harness.signer import Signer, run_command, signer
from tests.harness.waiting import wait_until
from tests.https.certificates import DAY, Authority, Certbot, Issued, encrypted_key

REFUSED = (ssl.SSLError, ConnectionResetError)
module_loop = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Site:
    """A running signer with a certificate of a test authority."""

    running: Signer
    authority: Authority
    files: Certbot
    issued: Issued
    runtime: Path

    def renew(self) -> Issued:
        self.issued = self.authority.issue()
        self.files.renew(self.issued)
        return self.issued

    async def connection(
        self, context: ssl.SSLContext | None = None, name: str = "localhost"
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self.running.public)
        return await asyncio.open_connection(
            parts.hostname, parts.port, ssl=context or self.authority.client_context(), server_hostname=name
        )

    async def handshake(self, context: ssl.SSLContext | None = None, name: str = "localhost") -> ssl.SSLObject:
        """Open a connection, and return its TLS state."""
        _, writer = await self.connection(context, name)
        found: ssl.SSLObject = writer.get_extra_info("ssl_object")
        await close(writer)
        return found

    async def served(self) -> bytes | None:
        return (await self.handshake()).getpeercert(binary_form=True)

    async def wait_for_certificate(self, issued: Issued) -> None:

        async def is_served() -> bool:
            return await self.served() == issued.certificate_der

        await wait_until(is_served)

    async def certificate_on_status(self) -> dict[str, Any]:
        async with self.running.session.get(f"{self.running.admin}/status") as response:
            found: dict[str, Any] = (await response.json())["certificate"]
            return found


async def request_form(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    """Request a form on this connection, and return the status."""
    writer.write(b"POST /v1/apps/a/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0]))
    return int(head.split()[1])


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


def definitions(files: Certbot) -> str:
    tls = f"tls: {{certificate: {files.certificate}, key: {files.key}}}"
    return f"{HEAD.replace('server: {', f'server: {{{tls}, ')}apps:\n{app(1)}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    root = tmp_path_factory.mktemp("tls")
    authority, files = Authority(), Certbot(root)
    files.renew(issued := authority.issue())
    (config := root / "signer.yaml").write_text(definitions(files), encoding="utf-8")
    (runtime := root / "run").mkdir()
    environ = {"RUNTIME_DIRECTORY": str(runtime)}
    async with aiohttp.ClientSession() as session, signer(session, config, environ=environ) as running:
        yield Site(running, authority, files, issued, runtime)
        message = "".join(running.output)
        assert "PRIVATE KEY" not in message and "traceback" not in message, message


@module_loop
async def test_forms_are_returned_over_https_and_nothing_over_http(site: Site) -> None:
    assert site.running.public.startswith("https://")
    url = f"{site.running.public}/v1/apps/a/uploads"
    async with site.running.session.post(url, json={}, ssl=site.authority.client_context()) as response:
        assert response.status == 201, await response.text()
    with pytest.raises(aiohttp.ClientError):
        await site.running.session.post(url.replace("https:", "http:"), json={})


@module_loop
async def test_protocols_and_ciphers_are_mozillas_intermediate_ones(site: Site) -> None:
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = site.authority.client_context()
        context.minimum_version = context.maximum_version = version
        context.set_alpn_protocols(["h2", "http/1.1"])
        found = await site.handshake(context)
        assert (found.version(), found.selected_alpn_protocol()) == (version.name.replace("_", "."), "http/1.1")
        assert any(cipher in str(found.cipher()) for cipher in ("GCM", "CHACHA20"))
    weak = site.authority.client_context()
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers("ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA256")
    with pytest.raises(REFUSED):
        await site.handshake(weak)
    old = site.authority.client_context()
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(REFUSED):
        await site.handshake(old)


@module_loop
async def test_a_renewed_certificate_is_used_for_new_connections_only(site: Site) -> None:
    before, since = site.issued, len(site.running.output)
    reader, writer = await site.connection()
    assert await request_form(reader, writer) == 201
    renewed = site.renew()
    logged = await site.running.wait_for_log("certificate renewed", since=since)
    assert await site.served() == renewed.certificate_der != before.certificate_der
    assert await request_form(reader, writer) == 201
    assert writer.get_extra_info("ssl_object").getpeercert(binary_form=True) == before.certificate_der
    await close(writer)
    assert logged["names"] == ["localhost", "127.0.0.1"]
    ends = renewed.expires_at.timestamp()
    assert await site.running.metric("tls_certificate_expiry_timestamp_seconds") == ends
    assert await site.running.metric("tls_certificate_last_reload_successful") == 1
    assert (await site.certificate_on_status())["error"] is None


@module_loop
async def test_a_reload_activates_a_renewed_certificate_for_clients_without_sni_too(site: Site) -> None:
    site.renew()
    assert (await site.running.reload())[0] == 200
    context = site.authority.client_context()
    context.check_hostname = False
    assert (await site.handshake(context, name="")).getpeercert(binary_form=True) == site.issued.certificate_der


@module_loop
@pytest.mark.parametrize("case", ["half", "other", "ended", "gone"])
async def test_an_unusable_certificate_never_replaces_a_usable_one(site: Site, case: str) -> None:
    running, good = site.running, site.issued
    issued = site.authority.issue(ends=-DAY if case == "ended" else 90 * DAY)
    since = len(running.output)
    if case == "gone":
        site.files.certificate.unlink()
    elif case == "other":
        site.files.write(issued.chain, issued.key)
        site.files.link(site.files.certificate)
    else:
        site.files.write(issued.chain[: len(issued.chain) // 2] if case == "half" else issued.chain, issued.key)
        site.files.link(site.files.certificate, site.files.key)
    logged = await running.wait_for_log("certificate rejected", since=since)
    message = {
        "half": "no complete PEM certificate",
        "other": "does not belong to",
        "ended": "expired at",
        "gone": "No such file",
    }
    assert message[case] in logged["error"] and logged["level"] == "error"
    assert logged["is_retrying"] == (case == "gone")
    assert (await site.certificate_on_status())["retrying"] == (case == "gone")
    assert await site.served() == good.certificate_der
    assert await running.metric("tls_certificate_last_reload_successful") == 0
    assert message[case] in (await site.certificate_on_status())["error"]
    status, outcome = await running.reload()
    assert (status, outcome["succeeded"]) == (422, True)
    assert message[case] in outcome["certificate_error"]
    if case == "half":
        refused = await run_command("reload", "--runtime-dir", site.runtime)
        assert refused.status == 1 and message[case] in refused.err
    await site.wait_for_certificate(site.renew())
    assert await running.metric("tls_certificate_last_reload_successful") == 1
    assert (await running.reload())[0] == 200


def check(config: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    status = main(["check", "--config", str(config)])
    return status, capsys.readouterr().err


async def test_check_rejects_an_unusable_certificate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", "s")
    authority, files = Authority(), Certbot(tmp_path)
    (config := tmp_path / "signer.yaml").write_text(definitions(files), encoding="utf-8")
    good, other = authority.issue(), authority.issue()
    weak = encrypted_key(b"password")
    for certificate, key, place, message in (
        (
            good.chain,
            other.key,
            "key",
            f"{files.key} does not belong to the first certificate in {files.certificate}; use",
        ),
        (good.chain, weak, "key", f"{files.key} is encrypted; write it"),
        (good.chain, "nothing", "key", f"{files.key} contains no PEM private key; use the file that certbot calls"),
        (good.chain, good.key[:90], "key", f"{files.key} contains no complete private key"),
        (good.key, good.key, "certificate", f"{files.certificate} contains no complete PEM certificate; use the file"),
    ):
        files.write(certificate, key)
        files.link(files.certificate, files.key)
        status, error = await asyncio.to_thread(check, config, capsys)
        assert status == 1 and f": server.tls.{place}: {message}" in error, error
        assert error.startswith(f"{config}:2:") and good.key.splitlines()[1] not in error
    files.key.unlink()
    assert (
        f"server.tls.key: {files.key} cannot be read: No such file or directory; write"
        in (await asyncio.to_thread(check, config, capsys))[1]
    )
    refused = await run_command("serve", "--config", config)
    assert refused.status == 1
    assert f"server.tls.key: {files.key} cannot be read" in refused.err
    os.mkfifo(files.key)
    assert (
        f"server.tls.key: {files.key} is not a regular file; write the path of a PEM file"
        in (await asyncio.to_thread(check, config, capsys))[1]
    )


def test_check_warns_of_a_certificate_that_some_phones_reject(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", "s")
    authority, files = Authority(), Certbot(tmp_path)
    (config := tmp_path / "signer.yaml").write_text(definitions(files), encoding="utf-8")
    ended, early = authority.issue(ends=-DAY), authority.issue(starts=DAY)
    for certificate, issued, message in (
        (
            ended.chain,
            ended,
            f"certificate: expired at {ended.expires_at:%Y-%m-%dT%H:%M:%SZ}, so phones refuse it; renew it",
        ),
        (early.chain, early, "certificate: is valid only from "),
        (
            early.certificate,
            early,
            "certificate: contains no certificate of its issuer, so some phones refuse it; use",
        ),
    ):
        files.write(certificate, issued.key)
        files.link(files.certificate, files.key)
        status, error = check(config, capsys)
        assert status == 0 and f"warning: server.tls.{message}" in error, error
    files.key.chmod(0o644)
    assert "warning: server.tls.key: every user of this machine can read it; chmod" in check(config, capsys)[1]
