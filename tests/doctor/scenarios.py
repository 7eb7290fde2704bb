"""A healthy machine, one with many faults, and a few more; and the runs of `doctor` on them."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path

import aiohttp

from tests.doctor.reports import PAGE, SECRETS, DoctorRuns, allow, other_service
from tests.harness.local_cloud import local_cloud
from tests.harness.ports import reserve_port
from tests.harness.signer import signer

KEY_HASH = sha256(b"the-key-of-the-shop").hexdigest()
HEALTHY = """
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
defaults: {{region: cn-hangzhou, legacy_endpoint: true, generate_signature: false, key_prefix: '', bucket: photos, credentials: instance, rate_limit: {{per_app: 10/s}}, callers: {{type: api_key, keys: {{shop: KEY_HASH}}}}}}
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

FAULTY = """
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


async def _prepare(runs: DoctorRuns) -> None:
    for bucket in ("photos", "plain", "half", "second"):
        await runs.cloud.create_bucket(bucket)
    await runs.cloud.create_bucket("shanghai", "cn-shanghai")
    await runs.configure_cloud("buckets/plain/cors", [])
    rule = {
        "allowed_origins": ["https://*.example.com"],
        "allowed_methods": ["GET", "POST"],
        "allowed_headers": ["content-type"],
        "expose_headers": ["ETag"],
    }
    await runs.configure_cloud("buckets/half/cors", [rule])
    await runs.configure_cloud("domains/localhost", {"bucket": "photos"})
    await runs.configure_cloud("wechat/apps/fine", {"secret": "the-app-secret-of-fine"})
    await runs.configure_cloud("roles/oss-forbidden", {"trusted": False})
    await runs.configure_cloud(
        "roles/oss-narrow", {"policy": allow(["oss:PutObject"], ["acs:oss:*:*:photos/narrow/good/*"])}
    )


def _definitions(runs: DoctorRuns, listen: str) -> tuple[str, str]:
    places = {
        "listen": listen,
        "admin": "127.0.0.1:0",
        "metadata": runs.cloud.metadata,
        "sts": runs.cloud.sts,
        "oss": runs.cloud.oss,
        "oss_port": runs.cloud.oss.rpartition(":")[2],
        "wechat": runs.wechat,
        "closed": runs.closed_port,
        "tls": runs.tls_port,
        "page": PAGE,
    }
    return HEALTHY.replace("KEY_HASH", KEY_HASH).format(**places), FAULTY.format(**places)


async def _run_scenarios(runs: DoctorRuns) -> None:
    """Runs that change nothing of the cloud go first, two at a time."""
    places = asyncio.Semaphore(2)

    async def run_doctor(name: str, config: Path, *arguments: str, environ: dict[str, str] | None = None) -> None:
        async with places:
            await runs.run_doctor(name, config, *arguments, environ=environ)

    healthy_text, faulty_text = _definitions(runs, "127.0.0.1:0")
    healthy = runs.write("healthy.yaml", healthy_text)
    faulty = runs.directory / "faulty"
    faulty.mkdir()
    runs.write("faulty/healthy.yaml", _definitions(runs, f"127.0.0.1:{runs.taken_port}")[0])
    runs.write("faulty/faulty.yaml", faulty_text)
    broken = runs.write("broken.yaml", healthy_text.replace("bucket: photos", "bukcet: photos"))
    unread = runs.write("unread.yaml", healthy_text.replace("${AK_SECRET}", "${file:/nowhere/ak-secret}"))
    open_file = runs.directory / "open-secret"
    open_file.write_text("local-secret", encoding="ascii")
    open_file.chmod(0o644)
    shown = runs.write("shown.yaml", healthy_text.replace("${AK_SECRET}", f"${{file:{open_file}}}"))
    trusted = {"SSL_CERT_FILE": str(runs.directory / "certificate.pem")}
    await asyncio.gather(
        run_doctor("healthy", healthy, "--json", "--write"),
        run_doctor("faulty", faulty, "--json", "--write"),
        run_doctor("one app", faulty, "--json", "--app", "bad-tls", environ=trusted),
        run_doctor("as text", faulty, "--app", "missing"),
        run_doctor("no such app", healthy, "--json", "--app", "fin"),
        run_doctor("broken YAML", broken, "--json"),
        run_doctor("unread secret", unread, "--json"),
        run_doctor("shown secret", shown, "--json", "--app", "scoped"),
        run_doctor("unread environment", healthy, "--json", "--env-file", "/nowhere/environment"),
    )
    await runs.record_objects("", "photos", "plain", "half", "second", "shanghai")
    clock = {"kind": "clock", "offset_seconds": 1200}
    await runs.cloud.set_faults(metadata=clock, sts=clock, oss=clock)
    await runs.run_doctor("clock", healthy, "--json", "--write")
    await runs.cloud.set_faults()
    await runs.configure_cloud("instance-role", {"name": None})
    await runs.run_doctor("no role", healthy, "--json", "--write")
    await runs.configure_cloud("instance-role", {"name": "oss-uploader"})
    async with signer(runs.cloud.session, healthy, environ=SECRETS) as running:
        held = healthy_text.replace('listen: "127.0.0.1:0"', f'listen: "{running.public.removeprefix("http://")}"')
        held = held.replace('admin: "127.0.0.1:0"', f'admin: "{running.admin.removeprefix("http://")}"')
        await runs.run_doctor("held by our own", runs.write("held.yaml", held), "--json")
    await runs.record_objects("later ", "photos")


async def run_all(directory: Path) -> DoctorRuns:
    closed, wechat = reserve_port(), reserve_port()
    async with aiohttp.ClientSession() as session, local_cloud(session, "--wechat-port", str(wechat)) as cloud:
        plain, tls = await other_service(directory, days=5)
        runs = DoctorRuns(cloud, directory, f"http://127.0.0.1:{wechat}", port(tls), closed, port(plain))
        try:
            await _prepare(runs)
            await _run_scenarios(runs)
        finally:
            for each in (plain, tls):
                each.close()
        return runs


def port(server: asyncio.Server) -> int:
    number: int = server.sockets[0].getsockname()[1]
    return number
