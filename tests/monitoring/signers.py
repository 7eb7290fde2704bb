"""Three signers, one of them without trouble, and three scrapes of each."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import aiohttp
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.harness.files import write
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.oss_upload import post_object
from tests.harness.signer import Signer, signer
from tests.harness.waiting import wait_until
from tests.monitoring.scrapes import Scrape, scrape
from tests.monitoring.tools import MONITORING, Prometheus, prometheus

API_KEY = "the-key-of-the-monitored-apps"
HEAD = """\
version: 1
server: {{listen: "{listen}", admin: "127.0.0.1:0", callback_queue: "{queue}", callback_keys: "{cloud.oss}/-/", secret: {secret}}}
defaults: {{key_prefix: '', bucket: photos, region: cn-hangzhou, domain: "{cloud.oss}/photos", credentials: good}}
"""
GOOD_ROLE = """\
credentials:
  good: {{type: assume_role, endpoint: "{cloud.sts}"}}
"""
MORE_ROLES = """\
  clock: {{type: ecs_ram_role, endpoint: "{cloud.metadata}"}}
  dead: {{type: ecs_ram_role, endpoint: "http://127.0.0.1:1"}}
  fading: {{type: assume_role, endpoint: "{cloud.sts}", duration: 15m, access_key_id: {key_id}}}
"""
CALLBACK_APP = """\
  notified:
    callback:
      url: "{public}/v1/apps/notified/callback"
      body: bucket=${{bucket}}&object=${{object}}&etag=${{etag}}&size=${{size}}
      notify: {{url: "http://127.0.0.1:1/", secret: sixteen-letters-}}
"""
APPS = f"""\
apps:
  plain: {{multipart: {{}}}}
  limited: {{rate_limit: {{per_app: 2/h}}}}
  own:
    key_prefix: own/{{caller}}/
    callers: {{type: api_key, keys: {{shop: {sha256(API_KEY.encode()).hexdigest()}}}}}
    temporary_credentials: {{}}
  gallery:
    key_prefix: gallery/{{caller}}/
    callers: {{type: api_key, keys: {{shop: {sha256(API_KEY.encode()).hexdigest()}}}}}
    downloads: {{}}
    deletes: true
  small: {{key: uuid, generate_signature: false, rate_limit: {{per_app_bytes: 10B/h}}}}
"""
MORE_APPS = """\
  stuck: {credentials: dead}
  slowly: {credentials: fading, expires: 2m}
  timed: {credentials: clock}
  shut: {callers: {type: api_key, keys: {shop: 67e8302899e9dc9dfa999f77f5e49bf4b70284026748e5b1a31bc1487f3ab778}}}
"""
WAITING_CALLBACKS = 3
SECRET = "a-secret-of-the-signers-of-the-tests"


@dataclass
class Fleet:
    """Three signers and a Prometheus that scrapes them."""

    healthy: Signer
    scrapes_of_healthy: list[Scrape]
    troubled: Signer
    scrapes_of_troubled: list[Scrape]
    with_tls: Signer
    scrapes_with_tls: list[Scrape]
    """Its certificate expires in five days, and was replaced by an invalid one."""
    prometheus: Prometheus
    """Has the configuration of monitoring/, except for addresses and intervals."""


@contextlib.asynccontextmanager
async def fleet_of_signers(directory: Path) -> AsyncIterator[Fleet]:
    """Run three signers, let them get into trouble, and scrape them."""
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud:
        await cloud.create_bucket("photos")
        healthy = Definitions(directory / "healthy.yaml", cloud, GOOD_ROLE, APPS)
        troubled = Definitions(directory / "troubled.yaml", cloud, GOOD_ROLE + MORE_ROLES, APPS + MORE_APPS)
        await cloud.set_faults(metadata={"kind": "clock", "offset_seconds": 1000})
        healthy.write()
        troubled.write()
        async with (
            signer(session, healthy.file) as first,
            signer(session, troubled.file) as second,
            signer_with_tls(session, directory) as third,
            prometheus(session, scraping(directory, [first, second, third])) as server,
        ):
            for definitions, running in ((healthy, first), (troubled, second)):
                definitions.public = running.public
                # A wrong AccessKey: the cached token is used until it expires.
                definitions.key_id = "LTAI-wrong"
                definitions.write()
                assert (await running.reload())[0] == 200
            write(troubled.file, troubled.text().replace("bucket: photos", "buckit: photos"))
            assert (await second.reload())[0] == 422
            scrapes: tuple[list[Scrape], list[Scrape]] = ([], [])
            for _ in range(3):
                await send_requests(first, ["plain"] * 10 + ["limited", "notified", "small", "small"])
                await send_requests(second, ["plain"] * 4 + ["limited", "limited", "notified", "stuck", "shut", "shut"])
                await send_uploads(first, 1)
                await start_multipart_upload(first)
                await request_credential(first)
                await use_gallery(first)
                await send_uploads(second, WAITING_CALLBACKS)
                for running, scraped in zip((first, second), scrapes, strict=True):
                    scraped.append(await scrape(running))
                await wait_for_another_failure(second, "fading", scrapes[1][-1])
            with_tls = [await scrape(third) for _ in range(3)]
            yield Fleet(first, scrapes[0], second, scrapes[1], third, with_tls, server)


def scraping(directory: Path, running: list[Signer]) -> Path:
    """Write the configuration of a Prometheus that scrapes these signers."""
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "200ms", "evaluation_interval": "200ms"}
    config["rule_files"] = [str(MONITORING / name) for name in config["rule_files"]]
    targets = [each.admin.removeprefix("http://") for each in running]
    config["scrape_configs"][0]["static_configs"][0]["targets"] = targets
    write(file := directory / "prometheus.yml", yaml.safe_dump(config))
    return file


@contextlib.asynccontextmanager
async def signer_with_tls(session: aiohttp.ClientSession, directory: Path) -> AsyncIterator[Signer]:
    """Run a signer whose certificate was replaced by an invalid one."""
    certificate, key = directory / "cert.pem", directory / "key.pem"
    write_certificate(certificate, key, timedelta(days=5))
    server = f'{{listen: "127.0.0.1:0", admin: "127.0.0.1:0", tls: {{certificate: "{certificate}", key: "{key}"}}}}'
    role = "{type: static, access_key_id: LTAI-tls, access_key_secret: not-a-secret}"
    apps = "{a: {key_prefix: '', bucket: photos, region: cn-hangzhou, credentials: fixed}}"
    text = (
        f"version: 1\nlimits: redis://127.0.0.1:1/0\nserver: {server}\ncredentials: {{fixed: {role}}}\napps: {apps}\n"
    )
    write(file := directory / "tls.yaml", text)
    async with signer(session, file) as running:
        write(certificate, "no certificate\n")
        await running.reload()
        yield running


def write_certificate(certificate: Path, key: Path, length: timedelta) -> None:
    """Write a self-signed certificate that is valid for this time."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number(), now, now + length)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(Encoding.PEM))
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key.chmod(0o600)


@dataclass
class Definitions:
    """The definitions of one signer."""

    file: Path
    cloud: Cloud
    roles: str
    apps: str
    public: str = ""
    key_id: str = "LTAI-local"

    def text(self) -> str:
        """Return the YAML."""
        callback_app = CALLBACK_APP.format(public=self.public or "http://127.0.0.1:1")
        listen = self.public.removeprefix("http://") or "127.0.0.1:0"
        filled = (HEAD + self.roles).format(
            listen=listen, queue=self.file.with_suffix(".db"), cloud=self.cloud, key_id=self.key_id, secret=SECRET
        )
        return filled + self.apps + callback_app

    def write(self) -> None:
        """Write the YAML."""
        write(self.file, self.text())


async def send_requests(running: Signer, apps: list[str]) -> None:
    """Request a form of each app."""
    for app in apps:
        body = {"size": 6} if app == "small" else {}
        async with running.session.post(f"{running.public}/v1/apps/{app}/uploads", json=body) as response:
            await response.read()


async def start_multipart_upload(running: Signer) -> None:
    """Start an upload in parts."""
    url = f"{running.public}/v1/apps/plain/multipart"
    async with running.session.post(url, json={"size": 1_000_000}) as response:
        assert response.status == 201, await response.text()


async def request_credential(running: Signer) -> None:
    """Request the temporary credential of a caller."""
    headers = {"X-Api-Key": API_KEY, "X-Caller": "ann"}
    async with running.session.post(f"{running.public}/v1/apps/own/credentials", headers=headers) as response:
        assert response.status == 200, await response.text()


async def use_gallery(running: Signer) -> None:
    """Request the URLs of two objects, of which one is another caller's, and delete one."""
    headers, app = {"X-Api-Key": API_KEY, "X-Caller": "ann"}, f"{running.public}/v1/apps/gallery"
    keys = ["gallery/ann/a.jpg", "gallery/bob/b.jpg"]
    async with running.session.post(f"{app}/downloads", json={"keys": keys}, headers=headers) as response:
        assert response.status == 200, await response.text()
    async with running.session.delete(f"{app}/objects", params={"key": keys[0]}, headers=headers) as response:
        assert response.status == 204, await response.text()


async def send_uploads(running: Signer, number: int) -> None:
    """Upload files, which causes callbacks."""
    for _ in range(number):
        form = await running.upload_form("notified", {"filename": "a.jpg"})
        status, text, _ = await post_object(running.session, form["url"], form["fields"], b"x")
        assert status == 200, text


async def wait_for_another_failure(running: Signer, role: str, since: Scrape) -> None:
    """Return once another refresh of the role's token has failed."""

    def failures(scraped: Scrape) -> float:
        return sum(
            value
            for (name, labels), value in scraped.values.items()
            if name == "oss_signer_credential_refreshes_total" and {("role", role), ("outcome", "failure")} <= {*labels}
        )

    async def failed() -> bool:
        return failures(await scrape(running)) > failures(since)

    await wait_until(failed)
