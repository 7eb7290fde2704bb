"""`doctor` uploads through the address that phones use, and names what is wrong with it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest

from tests.doctor.reports import Report, doctor, other_service
from tests.doctor.scenarios import port
from tests.harness.local_cloud import Cloud, local_cloud

CLOSED = "to accounts that are new since 2025-03-20"


def definitions(cloud: Cloud, apps: str) -> str:
    return (
        'version: 1\nserver: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}\n'
        f'credentials: {{instance: {{type: ecs_ram_role, endpoint: "{cloud.metadata}"}}}}\n'
        f"defaults: {{bucket: photos, region: cn-hangzhou, credentials: instance}}\napps:\n{apps}"
    )


async def report(cloud: Cloud, directory: Path, apps: str, *arguments: str, **environ: str) -> Report:
    config = directory / "signer.yaml"
    config.write_text(definitions(cloud, apps), encoding="utf-8")
    return await doctor("--config", config, "--oss-endpoint", cloud.oss, "--json", *arguments, environ=environ)


async def bind(cloud: Cloud, host: str, bucket: str) -> None:
    async with cloud.session.put(f"{cloud.oss}/-/domains/{host}", json={"bucket": bucket}) as response:
        assert response.status == 200


@pytest.mark.parametrize("may_get_info", [True, False], ids=["any role", "a role that only uploads"])
async def test_a_new_account_needs_a_domain(tmp_path: Path, may_get_info: bool) -> None:
    async with (
        aiohttp.ClientSession() as session,
        local_cloud(session, "--new-account", "--bucket", "photos=cn-hangzhou") as cloud,
    ):
        if not may_get_info:
            statement = {"Effect": "Allow", "Action": ["oss:PutObject"], "Resource": ["acs:oss:*:*:photos/*"]}
            policy = {"Version": "1", "Statement": [statement]}
            async with session.put(f"{cloud.oss}/-/roles/oss-uploader", json={"policy": policy}) as response:
                assert response.status == 200
        await bind(cloud, "localhost", "photos")
        domain = f"http://localhost:{cloud.oss.rpartition(':')[2]}"
        apps = f"  closed: {{key_prefix: closed/}}\n  bound: {{key_prefix: bound/, domain: '{domain}'}}\n"
        found = await report(cloud, tmp_path, apps, "--write")
        left = [each["key"] for each in await cloud.objects("photos")]
    assert found.status == 1
    assert [each["verdict"] for each in found.of("bucket")] == ["ok"], found.out
    failed = [each for each in found.findings if each["verdict"] == "failed"]
    assert [(each["step"], each["apps"]) for each in failed] == [("domain", ["closed"]), ("write", ["closed"])]
    for each in failed:
        assert f"https://photos.oss-cn-hangzhou.aliyuncs.com {CLOSED}" in each["what"]
        assert "PublicEndpointForbidden" in each["what"]
        assert "Map Custom Domain Name" in each["fix"]
        assert "write the domain as domain: https://" in each["fix"]
    [uploaded] = [each for each in found.of("write") if each["apps"] == ["bound"]]
    assert uploaded["verdict"] == ("ok" if may_get_info else "warning")
    assert uploaded["what"].startswith("the role may put objects there")
    # Only a role that may not delete leaves the object, and only the one that was uploaded.
    assert [key.partition("/")[0] for key in left] == ([] if may_get_info else ["bound"])


async def test_a_domain_that_is_not_bound(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session, local_cloud(session, "--bucket", "photos=cn-hangzhou") as cloud:
        domain = f"http://localhost:{cloud.oss.rpartition(':')[2]}"
        found = await report(cloud, tmp_path, f"  a: {{key_prefix: a/, domain: '{domain}'}}\n", "--write")
    failed = [each for each in found.findings if each["verdict"] == "failed"]
    assert [each["step"] for each in failed] == ["domain", "write"]
    for each in failed:
        assert each["what"] == "it is not bound to a bucket (NoSuchBucket)"
        assert "Map Custom Domain Name" in each["fix"]
        assert "CNAME localhost -> photos.oss-cn-hangzhou.aliyuncs.com" in each["fix"]


async def test_a_certificate_for_another_name(tmp_path: Path) -> None:
    plain, tls = await other_service(tmp_path, days=90, host="upload.example.com")
    apps = f"  a: {{key_prefix: a/, domain: 'https://localhost:{port(tls)}'}}\n"
    try:
        async with aiohttp.ClientSession() as session, local_cloud(session, "--bucket", "photos=cn-hangzhou") as cloud:
            trusted = str(tmp_path / "certificate.pem")
            found = await report(cloud, tmp_path, apps, "--write", SSL_CERT_FILE=trusted)
    finally:
        plain.close()
        tls.close()
    failed = {each["step"]: each for each in found.findings if each["verdict"] == "failed"}
    assert failed.keys() == {"certificate", "domain", "write"}, found.out
    assert failed["certificate"]["what"].startswith("is for another name: Hostname mismatch")
    assert "Certificate Hosting" in failed["certificate"]["fix"]
    for step in ("domain", "write"):
        assert "its TLS certificate is for another name" in failed[step]["what"]


@pytest.mark.parametrize(
    ("domain", "what"),
    [("https://upload.invalid", "its name cannot be resolved"), ("https://127.0.0.1:1", "cannot be reached")],
)
async def test_a_domain_without_a_connection_needs_dns_before_a_certificate(
    tmp_path: Path, domain: str, what: str
) -> None:
    apps = f"  a: {{key_prefix: a/, domain: '{domain}'}}\n"
    async with aiohttp.ClientSession() as session, local_cloud(session, "--bucket", "photos=cn-hangzhou") as cloud:
        found = await report(cloud, tmp_path, apps)
    [failed] = found.of("certificate", "failed")
    assert failed["what"].startswith(what)
    assert "CNAME" in failed["fix"]
    assert "Certificate Hosting" not in failed["fix"]


async def test_the_form_is_the_apps_own(tmp_path: Path) -> None:
    """The types, sizes and fields of the app go with the upload; its server is not called."""
    app = (
        "  a:\n    key_prefix: 'a/{yyyy}/'\n    key: '{uuid}.{ext}'\n    content_types: [image/png, image/jpeg]\n"
        "    min_size: 1MiB\n    success_status: 201\n"
        "    headers: {x-oss-object-acl: private, x-oss-forbid-overwrite: 'false'}\n"
        "    conditions: [[eq, $x-oss-meta-team, a], [starts-with, $x-oss-meta-user, u]]\n"
        "    callback: {url: 'http://127.0.0.1:1/', body: 'key=${object}'}\n"
    )
    async with aiohttp.ClientSession() as session, local_cloud(session, "--bucket", "photos=cn-hangzhou") as cloud:
        found = await report(cloud, tmp_path, app, "--write")
        posted, deleted = await asyncio.gather(cloud.calls("PostObject"), cloud.calls("DeleteObject"))
    assert [each["verdict"] for each in found.of("write")] == ["ok"], found.out
    assert [each["status"] for each in posted] == [201]
    assert [each["status"] for each in deleted] == [204]
