"""docs/https.md on a machine: one signer with its own certificate, systemd's socket, and the hook for renewals."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import aiohttp
import pytest

from tests.harness.local_cloud import local_cloud
from tests.harness.ports import reserve_port
from tests.harness.processes import ROOT
from tests.harness.waiting import deadline
from tests.https.certificates import Authority
from tests.systemd.machine import machine, python_below_a_home, require_systemd

pytestmark = pytest.mark.slow

DEFINITIONS = """\
version: 1
server:
  listen: 0.0.0.0:443
  admin: unix:/run/oss-signer/admin.sock
  admin_token: ${{file:$CREDENTIALS_DIRECTORY/admin-token}}
  tls: {{certificate: /etc/oss-signer/tls/fullchain.pem, key: /etc/oss-signer/tls/privkey.pem}}
credentials: {{uploader: {{type: ecs_ram_role, endpoint: '{metadata}'}}}}
apps: {{a: {{key_prefix: a/, bucket: photos, region: cn-hangzhou, credentials: uploader}}}}
"""
TOKEN = "the-token-of-the-operators-of-this-machine"
LINEAGE = "/etc/letsencrypt/live/sign.example.com"


def renewal_hook() -> str:
    """Return the script of the document."""
    text = (ROOT / "docs/https.md").read_text(encoding="utf-8")
    found = re.search(r"^```text\n(#!/bin/sh -e\n# /etc/letsencrypt/.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


async def test_a_renewed_certificate_is_active_at_the_address_of_the_socket(tmp_path: Path) -> None:
    require_systemd()
    port, authority = reserve_port(), Authority()
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud, machine(tmp_path) as booted:
        await booted.install("WORKERS=1")
        await booted.write("/etc/oss-signer/signer.yaml", DEFINITIONS.format(metadata=cloud.metadata))
        await booted.write("/etc/oss-signer/credentials/admin-token", TOKEN)
        await booted.write("/etc/letsencrypt/renewal-hooks/deploy/oss-signer", renewal_hook())
        await booted.run("groupadd", "--system", "oss-signer-tls")
        await booted.write(
            "/etc/systemd/system/oss-signer.service.d/override.conf",
            "[Service]\nLoadCredential=admin-token:/etc/oss-signer/credentials/admin-token\n"
            f"SupplementaryGroups=oss-signer-tls\n{python_below_a_home()}",
        )
        await booted.write(
            "/etc/systemd/system/oss-signer.socket.d/override.conf",
            f"[Socket]\nListenStream=\nListenStream=127.0.0.1:{port}\n",
        )
        await booted.run("systemctl", "daemon-reload")

        async def renew(*, succeeds: bool) -> bytes:
            """Issue a certificate and run the hook as certbot does; return the certificate."""
            issued = authority.issue()
            await booted.write(f"{LINEAGE}/fullchain.pem", issued.chain)
            await booted.write(f"{LINEAGE}/privkey.pem", issued.key)
            await booted.run("chmod", "600", f"{LINEAGE}/privkey.pem")
            hook = "/etc/letsencrypt/renewal-hooks/deploy/oss-signer"
            output = await booted.run("env", f"RENEWED_LINEAGE={LINEAGE}", "sh", "-e", hook, succeeds=succeeds)
            assert succeeds or "not active" in output
            return issued.certificate_der

        async def served() -> bytes:
            """Return the certificate of the public address, after a request for a form."""
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=authority.client_context())
            async with deadline():
                writer.write(b"GET /generate_signature?app_id=a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
            certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(True)
            writer.transport.abort()
            return certificate

        first = await renew(succeeds=False)
        await booted.run("systemctl", "enable", "--now", "oss-signer.target")
        await booted.wait_for_property("oss-signer.service", "ActiveState", "^active$")
        assert await served() == first
        second = await renew(succeeds=True)
        assert await served() == second != first
        assert "server.listen not used" in await booted.journal("oss-signer.service")
        refresh = ("/opt/oss-signer/bin/oss-signer", "refresh")
        assert "set OSS_SIGNER_ADMIN_TOKEN" in await booted.run(*refresh, succeeds=False)
        assert "uploader: " in await booted.run("env", f"OSS_SIGNER_ADMIN_TOKEN={TOKEN}", *refresh)
        await booted.run("systemctl", "stop", "oss-signer.target")
        assert "no running signer found in /run/oss-signer" in await booted.run(*refresh, succeeds=False)
