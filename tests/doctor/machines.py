"""A machine that is well, one that is sick in many ways, and all that doctors have to say of them and of a few more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp

from tests.doctor.hospital import PAGE, SECRETS, Hospital, free_port, may, other_service
from tests.harness.local_cloud import local_cloud
from tests.harness.signer import signer

WELL = """
version: 1
server: {{listen: "{listen}", admin: "{admin}", callback_keys: "{oss}/-"}}
credentials:
  instance: {{type: ecs_ram_role, role_name: oss-uploader, endpoint: "{metadata}"}}
  partner:
    type: assume_role
    endpoint: "{sts}"
    role_arn: acs:ram::1234567890123456:role/oss-upload
    access_key_id: LTAI-local
    access_key_secret: ${{AK_SECRET}}
    scope: app
  chained:
    type: assume_role
    endpoint: "{sts}"
    role_arn: acs:ram::1234567890123456:role/oss-two
    source: instance
defaults: {{region: cn-hangzhou, bucket: photos, credentials: instance, rate_limit: {{per_app: 10/s}}}}
apps:
  fine:
    key_prefix: fine/{{caller}}/{{yyyy}}/
    domain: "http://localhost:{oss_port}"
    cors_origins: [{page}]
    callers: {{type: wechat, secret: "${{WX_SECRET}}", endpoint: "{wechat}"}}
    callback:
      url: https://sign.example.com/v1/apps/fine/callback
      body: bucket=${{bucket}}&object=${{object}}&size=${{size}}
  scoped: {{key_prefix: scoped/, credentials: partner}}
  chained: {{key_prefix: chained/, credentials: chained}}
"""

SICK = """
limits: redis://:a-password@127.0.0.1:{closed}/0
credentials:
  away: {{type: ecs_ram_role, endpoint: "http://127.0.0.1:{closed}"}}
  renamed: {{type: ecs_ram_role, role_name: somebody-else, endpoint: "{metadata}"}}
  badkey:
    type: assume_role
    endpoint: "{sts}"
    role_arn: "acs:ram::1234567890123456:role/oss-upload"
    access_key_id: LTAI-local
    access_key_secret: "${{WRONG_AK_SECRET}}"
  forbidden:
    type: assume_role
    endpoint: "{sts}"
    role_arn: "acs:ram::1234567890123456:role/oss-forbidden"
    access_key_id: LTAI-local
    access_key_secret: "${{AK_SECRET}}"
  narrow:
    type: assume_role
    endpoint: "{sts}"
    role_arn: "acs:ram::1234567890123456:role/oss-narrow"
    access_key_id: LTAI-local
    access_key_secret: "${{AK_SECRET}}"
apps:
  away: {{credentials: away, key_prefix: away/}}
  renamed: {{credentials: renamed, key_prefix: renamed/}}
  badkey: {{credentials: badkey, key_prefix: badkey/}}
  forbidden: {{credentials: forbidden, key_prefix: forbidden/}}
  narrow-good: {{credentials: narrow, key_prefix: narrow/good/}}
  narrow-bad: {{credentials: narrow, key_prefix: narrow/bad/}}
  missing: {{bucket: nobodys, key_prefix: missing/}}
  elsewhere: {{bucket: shanghai, key_prefix: elsewhere/}}
  no-cors: {{bucket: plain, key_prefix: no-cors/, cors_origins: [{page}]}}
  half-cors: {{bucket: half, key_prefix: half-cors/, cors_origins: [{page}]}}
  denied-cors: {{bucket: plain, credentials: narrow, key_prefix: denied-cors/, cors_origins: [{page}]}}
  foreign-domain: {{bucket: second, key_prefix: foreign/, domain: "http://localhost:{oss_port}"}}
  bad-tls: {{bucket: second, key_prefix: bad-tls/, domain: "https://localhost:{tls}"}}
  bad-wx:
    key_prefix: bad-wx/
    callers: {{type: wechat, app_id: fine, secret: "${{WRONG_WX_SECRET}}", endpoint: "{wechat}"}}
  no-wx: {{key_prefix: no-wx/, callers: {{type: wechat, secret: x, endpoint: "http://127.0.0.1:{closed}"}}}}
"""


async def _prepare(hospital: Hospital) -> None:
    for bucket in ("photos", "plain", "half", "second"):
        await hospital.cloud.create_bucket(bucket)
    await hospital.cloud.create_bucket("shanghai", "cn-shanghai")
    await hospital.control("buckets/plain/cors", [])
    rule = {
        "allowed_origins": ["https://*.example.com"],
        "allowed_methods": ["GET", "POST"],
        "expose_headers": ["ETag"],
    }
    await hospital.control("buckets/half/cors", [rule])
    await hospital.control("domains/localhost", {"bucket": "photos"})
    await hospital.control("wechat/apps/fine", {"secret": "the-app-secret-of-fine"})
    await hospital.control("roles/oss-forbidden", {"trusted": False})
    await hospital.control("roles/oss-narrow", {"policy": may(["oss:PutObject"], ["acs:oss:*:*:photos/narrow/good/*"])})


def _definitions(hospital: Hospital, listen: str) -> tuple[str, str]:
    places = {
        "listen": listen,
        "admin": "127.0.0.1:0",
        "metadata": hospital.cloud.metadata,
        "sts": hospital.cloud.sts,
        "oss": hospital.cloud.oss,
        "oss_port": hospital.cloud.oss.rpartition(":")[2],
        "wechat": hospital.wechat,
        "closed": hospital.closed_port,
        "tls": hospital.tls_port,
        "page": PAGE,
    }
    return WELL.format(**places), SICK.format(**places)


async def _examine_all(hospital: Hospital) -> None:
    """Those that need no change of the whole cloud together, two at a time, then the others."""
    places = asyncio.Semaphore(2)

    async def examine(name: str, config: Path, *arguments: str, environ: dict[str, str] | None = None) -> None:
        async with places:
            await hospital.examine(name, config, *arguments, environ=environ)

    well_text, sick_text = _definitions(hospital, "127.0.0.1:0")
    well = hospital.write("well.yaml", well_text)
    sick = hospital.directory / "sick"
    sick.mkdir()
    hospital.write("sick/well.yaml", _definitions(hospital, f"127.0.0.1:{hospital.taken_port}")[0])
    hospital.write("sick/sick.yaml", sick_text)
    broken = hospital.write("broken.yaml", well_text.replace("bucket: photos", "bukcet: photos"))
    unread = hospital.write("unread.yaml", well_text.replace("${AK_SECRET}", "${file:/nowhere/ak-secret}"))
    open_file = hospital.directory / "open-secret"
    open_file.write_text("local-secret", encoding="ascii")
    open_file.chmod(0o644)
    shown = hospital.write("shown.yaml", well_text.replace("${AK_SECRET}", f"${{file:{open_file}}}"))
    trusted = {"SSL_CERT_FILE": str(hospital.directory / "certificate.pem")}
    await asyncio.gather(
        examine("well", well, "--json", "--write"),
        examine("sick", sick, "--json", "--write"),
        examine("one app", sick, "--json", "--app", "bad-tls", environ=trusted),
        examine("as text", sick, "--app", "missing"),
        examine("no such app", well, "--json", "--app", "fin"),
        examine("broken YAML", broken, "--json"),
        examine("unread secret", unread, "--json"),
        examine("shown secret", shown, "--json", "--app", "scoped"),
        examine("unread environment", well, "--json", "--env-file", "/nowhere/environment"),
    )
    await hospital.note_objects("", "photos", "plain", "half", "second", "shanghai")
    clock = {"kind": "clock", "offset_seconds": 1200}
    await hospital.cloud.set_faults(metadata=clock, sts=clock, oss=clock)
    await hospital.examine("clock", well, "--json", "--write")
    await hospital.cloud.set_faults()
    await hospital.control("instance-role", {"name": None})
    await hospital.examine("no role", well, "--json", "--write")
    await hospital.control("instance-role", {"name": "oss-uploader"})
    async with signer(hospital.cloud.session, well, environ=SECRETS) as running:
        held = well_text.replace('listen: "127.0.0.1:0"', f'listen: "{running.public.removeprefix("http://")}"')
        held = held.replace('admin: "127.0.0.1:0"', f'admin: "{running.admin.removeprefix("http://")}"')
        await hospital.examine("held by our own", hospital.write("held.yaml", held), "--json")
    await hospital.note_objects("later ", "photos")


async def examined(directory: Path) -> Hospital:
    closed, wechat = free_port(), free_port()
    async with aiohttp.ClientSession() as session, local_cloud(session, "--wechat-port", str(wechat)) as cloud:
        plain, tls = await other_service(directory, days=5)
        hospital = Hospital(cloud, directory, f"http://127.0.0.1:{wechat}", port(tls), closed, port(plain))
        try:
            await _prepare(hospital)
            await _examine_all(hospital)
        finally:
            for each in (plain, tls):
                each.close()
        return hospital


def port(server: asyncio.Server) -> int:
    number: int = server.sockets[0].getsockname()[1]
    return number
