"""Machines that are well or sick in many ways, one local cloud for all of them, and `doctor` as a process."""

from __future__ import annotations

import asyncio
import json
import socket
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
"""In the environment of each doctor; none may be told."""
PAGE = "https://h5.example.com"


@dataclass(frozen=True)
class Examination:
    """What one doctor said and how it ended."""

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


async def doctor(*arguments: object, environ: dict[str, str] | None = None) -> Examination:
    result = await run_command("doctor", *arguments, environ={**SECRETS, **(environ or {})})
    told = result.out + result.err
    assert "Traceback" not in told, told
    assert not [name for name, secret in SECRETS.items() if secret in told], told
    return Examination(result.status, result.out, result.err)


@dataclass
class Hospital:
    """The addresses that definitions need, and what is wrong with them."""

    cloud: Cloud
    directory: Path
    wechat: str
    tls_port: int = 0
    closed_port: int = 0
    taken_port: int = 0
    results: dict[str, Examination] = field(default_factory=dict)
    objects: dict[str, list[str]] = field(default_factory=dict)
    """The keys that were left behind, by examination and bucket."""

    def write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return path

    async def control(self, path: str, wanted: Any) -> None:
        async with self.cloud.session.put(f"{self.cloud.oss}/-/{path}", json=wanted) as answer:
            assert answer.status < 300, await answer.text()

    async def examine(self, name: str, config: Path, *arguments: str, environ: dict[str, str] | None = None) -> None:
        self.results[name] = await doctor(
            "--config", config, "--oss-endpoint", self.cloud.oss, *arguments, environ=environ
        )

    async def note_objects(self, name: str, *buckets: str) -> None:
        for bucket in buckets:
            left = [each["key"] for each in await self.cloud.objects(bucket)]
            self.objects[f"{name} {bucket}"] = left


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def may(actions: list[str], resources: list[str]) -> dict[str, Any]:
    """A RAM policy."""
    return {"Version": "1", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": resources}]}


def certificate(directory: Path, days: int) -> tuple[Path, Path]:
    """Signed by itself, for localhost; the files of it and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days, hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = directory / "certificate.pem", directory / "key.pem"
    files[0].write_bytes(made.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


async def other_service(directory: Path, days: int) -> tuple[asyncio.Server, asyncio.Server]:
    """What is no oss-signer and no OSS: one that answers in plain HTTP, one behind TLS."""

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
    context.load_cert_chain(*certificate(directory, days))
    plain = await asyncio.start_server(answer, "127.0.0.1", 0)
    return plain, await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
