"""A certificate authority, and the files of its certificates in certbot's layout."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tests.harness.files import link as set_link

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Issued:
    """A certificate, as PEM."""

    certificate: str
    chain: str
    key: str = field(repr=False)
    certificate_der: bytes
    expires_at: datetime


class Authority:
    """A root and an intermediate, which issues the certificates."""

    def __init__(self) -> None:
        self._root_key, self._key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        self._root = _signed("Test root", self._root_key, "Test root", self._root_key)
        self._intermediate = _signed("Test intermediate", self._key, "Test root", self._root_key)
        self.root_pem = _pem(self._root)

    def client_context(self) -> ssl.SSLContext:
        """Return a context for clients that trust only this root."""
        return ssl.create_default_context(cadata=self.root_pem)

    def issue(
        self, names: Sequence[str] = ("localhost", "127.0.0.1"), *, starts: timedelta = -DAY, ends: timedelta = 90 * DAY
    ) -> Issued:
        """Issue a certificate that is valid from now plus `starts` until now plus `ends`."""
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = _signed(names[0], key, "Test intermediate", self._key, names=names, starts=starts, ends=ends)
        return Issued(
            _pem(leaf),
            _pem(leaf) + _pem(self._intermediate),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
            leaf.public_bytes(Encoding.DER),
            leaf.not_valid_after_utc,
        )


def encrypted_key(password: bytes) -> str:
    """Return a private key as encrypted PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password)).decode()


class Certbot:
    """`live/NAME/fullchain.pem` and `privkey.pem` are links to numbered files in `archive/NAME`."""

    def __init__(self, root: Path) -> None:
        self.certificate, self.key = (root / "live/site" / name for name in ("fullchain.pem", "privkey.pem"))
        self._archive = root / "archive/site"
        self._number = 0
        for directory in (self.certificate.parent, self._archive):
            directory.mkdir(parents=True)

    def write(self, certificate: str, key: str) -> None:
        """Write the numbered files, to which no link points yet."""
        self._number += 1
        for link_name, text in ((self.certificate, certificate), (self.key, key)):
            file = self._archive / f"{link_name.stem}{self._number}.pem"
            file.touch(0o600)
            file.write_text(text, encoding="ascii")

    def link(self, *links: Path) -> None:
        """Let these links point to the last written files."""
        for each in links:
            set_link(each, Path("../../archive/site") / f"{each.stem}{self._number}.pem")

    def renew(self, issued: Issued) -> None:
        """Write the files, and link them."""
        self.write(issued.chain, issued.key)
        self.link(self.key, self.certificate)


def _signed(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    names: Sequence[str] = (),
    starts: timedelta = -DAY,
    ends: timedelta = 3650 * DAY,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + min(starts, ends - DAY))
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    signs = not names
    usage = x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )
    builder = builder.add_extension(usage, critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(each) for each in names]), False)
    return builder.sign(issuer_key, SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
