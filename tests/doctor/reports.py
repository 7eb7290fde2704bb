"""Runs `doctor` as a process against machines with many faults, all on one local cloud."""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.harness.local_cloud import Cloud
from tests.harness.signer import run_command

PATIENCE_SECONDS = 60.0
SECRETS = {
    "AK_SECRET": "local-secret",
    "WRONG_AK_SECRET": "no-secret-of-this-key",
    "WX_SECRET": "the-app-secret-of-fine",
    "WRONG_WX_SECRET": "the-app-secret-of-nobody",
}
"""In the environment of each run; no output may contain one."""
PAGE = "https://h5.example.com"


@dataclass(frozen=True)
class Report:
    """The output and exit status of one run."""

    status: int
    out: str
    err: str

    @property
    def findings(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.out)["findings"]
        return found

    def of(self, step: str, verdict: str | None = None) -> list[dict[str, Any]]:
        return [each for each in self.findings if each["step"] == step and verdict in (None, each["verdict"])]

    def not_ok(self) -> list[tuple[str, str, str]]:
        return [(each["step"], each["subject"], each["verdict"]) for each in self.findings if each["verdict"] != "ok"]


async def doctor(*arguments: object, environ: dict[str, str] | None = None) -> Report:
    result = await run_command("doctor", *arguments, environ={**SECRETS, **(environ or {})})
    output = result.out + result.err
    assert "Traceback" not in output, output
    assert not [name for name, secret in SECRETS.items() if secret in output], output
    return Report(result.status, result.out, result.err)


@dataclass
class DoctorRuns:
    """The addresses that the definitions need, and the reports of all runs."""

    cloud: Cloud
    directory: Path
    wechat: str
    tls_port: int = 0
    closed_port: int = 0
    taken_port: int = 0
    results: dict[str, Report] = field(default_factory=dict)
    objects: dict[str, list[str]] = field(default_factory=dict)
    """The keys that remain in each bucket, by the time of the look and the bucket."""

    def write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return path

    async def configure_cloud(self, path: str, settings: Any) -> None:
        async with self.cloud.session.put(f"{self.cloud.oss}/-/{path}", json=settings) as answer:
            assert answer.status < 300, await answer.text()

    async def run_doctor(self, name: str, config: Path, *arguments: str, environ: dict[str, str] | None = None) -> None:
        self.results[name] = await doctor(
            "--config", config, "--oss-endpoint", self.cloud.oss, *arguments, environ=environ
        )

    async def record_objects(self, name: str, *buckets: str) -> None:
        for bucket in buckets:
            self.objects[f"{name} {bucket}"] = [each["key"] for each in await self.cloud.objects(bucket)]


def allow(actions: list[str], resources: list[str]) -> dict[str, Any]:
    """Return a RAM policy."""
    return {"Version": "1", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": resources}]}


def certificate(directory: Path, days: int, host: str) -> tuple[Path, Path]:
    """Write a self-signed certificate for a host and its key; return the two paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days, hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = directory / "certificate.pem", directory / "key.pem"
    files[0].write_bytes(made.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


async def other_service(directory: Path, days: int, host: str = "localhost") -> tuple[asyncio.Server, asyncio.Server]:
    """Start two servers that are neither oss-signer nor OSS: one speaks plain HTTP, one TLS."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
            await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate(directory, days, host))
    plain = await asyncio.start_server(answer, "127.0.0.1", 0)
    return plain, await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
