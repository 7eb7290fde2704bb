"""A certificate and its key: two PEM files, read and judged, and what TLS is spoken with them.

Protocols and ciphers are those of Mozilla's intermediate configuration (wiki page `Security/Server Side TLS`), without
those that need Diffie-Hellman parameters.
"""

from __future__ import annotations

import ssl
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from signer.definitions import model
from signer.stable_read import FilesKeepChanging
from signer.stores.file_watch import FileWatch

_CIPHERS = ":".join(
    f"ECDHE-{kind}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for kind in ("ECDSA", "RSA")
)
_MAX_FILE_BYTES = 2**20

Key = Literal["certificate", "key"]
"""Of `server.tls`: which of the two files is meant."""


class CannotUseCertificate(Exception):
    """One of the two files cannot be used; the text says why and how to mend it, and holds nothing of them."""

    def __init__(self, key: Key, why: str) -> None:
        super().__init__(f"server.tls.{key}: {why}")
        self.key = key
        self.why = why


class _Encrypted(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and the key that belongs to it, ready to serve with."""

    context: ssl.SSLContext = field(repr=False)
    fingerprint: str
    """SHA-256 of the certificate, in hex."""
    names: tuple[str, ...]
    """The host names that it is for."""
    starts_at: datetime
    expires_at: datetime
    alone: bool
    """No certificate that it was issued with stands behind it, and it was not issued by itself."""
    key_open: bool
    """Every user of this machine can read the key."""

    def cautions(self, now: datetime) -> Iterator[tuple[Key, str]]:
        """What works, but not for everybody."""
        if now > self.expires_at:
            yield "certificate", f"ended at {as_told(self.expires_at)}, so phones refuse it; renew it"
        if now < self.starts_at:
            yield "certificate", f"counts only from {as_told(self.starts_at)} on; look at this machine's clock"
        if self.alone:
            yield (
                "certificate",
                "holds no certificate of who issued it, so some phones refuse it; name the file with the whole chain, "
                "such as fullchain.pem",
            )
        if self.key_open:
            yield "key", "every user of this machine can read it; chmod 640 or 600"


def watch_of(paths: model.Tls) -> FileWatch:
    return FileWatch(lambda: [Path(paths.certificate), Path(paths.key)])


def load(paths: model.Tls, watch: FileWatch) -> Pair:
    """Reads both files, as they were at one moment; may block. Raises `CannotUseCertificate`."""
    try:
        return watch.read(lambda: _read(paths))
    except FilesKeepChanging:
        raise CannotUseCertificate("certificate", "changes while it is read; replace the file atomically") from None


def _read(paths: model.Tls) -> Pair:
    text, key = _content("certificate", paths.certificate), _content("key", paths.key)
    chain = _chain(text)
    if not chain:
        mend = "name the file that certbot calls fullchain.pem"
        raise CannotUseCertificate("certificate", f"{paths.certificate} holds no whole PEM certificate; {mend}")
    if b"PRIVATE KEY-----" not in key:
        raise CannotUseCertificate(
            "key", f"{paths.key} holds no PEM private key; name the file that certbot calls privkey.pem"
        )
    leaf = chain[0]
    return Pair(
        _context_with(paths),
        leaf.fingerprint(SHA256()).hex(),
        _names(leaf),
        leaf.not_valid_before_utc,
        leaf.not_valid_after_utc,
        alone=len(chain) == 1 and leaf.issuer != leaf.subject,
        key_open=bool(Path(paths.key).stat().st_mode & stat.S_IROTH),
    )


def _chain(text: bytes) -> list[x509.Certificate]:
    """Empty where the text is none, or is cut off somewhere."""
    try:
        chain = x509.load_pem_x509_certificates(text)
    except ValueError:
        return []
    whole = text.count(b"-----BEGIN ") == text.count(b"-----END ")
    return chain if whole and text.count(b"-----BEGIN CERTIFICATE-----") == len(chain) else []


def _content(key: Key, path: str) -> bytes:
    try:
        if not Path(path).is_file() and Path(path).exists():
            # Reading a pipe or a device might never end.
            raise CannotUseCertificate(key, f"{path} is not a regular file")
        with Path(path).open("rb") as stream:
            return stream.read(_MAX_FILE_BYTES)
    except PermissionError:
        mend = "let the user that the signer runs as read it"
        raise CannotUseCertificate(key, f"{path} cannot be read: Permission denied; {mend}") from None
    except OSError as error:
        mend = "write the path of the PEM file that certbot or your CA gave"
        raise CannotUseCertificate(key, f"{path} cannot be read: {error.strerror}; {mend}") from None


def _context_with(paths: model.Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    # All of them are good, and a phone knows best which it is quick at.
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(paths.certificate, paths.key, password=_no_password)
    except _Encrypted:
        mend = "write it without one: openssl pkey -in OLD -out NEW"
        why = f"{paths.key} is encrypted, and nobody is there to type its password; {mend}"
        raise CannotUseCertificate("key", why) from None
    except ssl.SSLError as error:
        raise _unusable(paths, error.reason or "") from None
    except OSError as error:
        raise CannotUseCertificate("certificate", f"cannot be read: {error.strerror}") from None
    return context


def _no_password() -> str:
    # Without this, OpenSSL asks for it at the terminal.
    raise _Encrypted


def _unusable(paths: model.Tls, reason: str) -> CannotUseCertificate:
    if "MISMATCH" in reason:
        why = (
            f"{paths.key} is not the key of the first certificate in {paths.certificate}; name two that belong together"
        )
        return CannotUseCertificate("key", why)
    if "TOO_SMALL" in reason or "TOO_WEAK" in reason:
        mend = "have one issued for an RSA key of 2048 bits, or for P-256"
        why = f"{paths.certificate} is too weak to be trusted ({reason}); {mend}"
        return CannotUseCertificate("certificate", why)
    return CannotUseCertificate(
        "key", f"{paths.key} holds no whole private key ({reason or 'unreadable'}); write it anew"
    )


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return (*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress)))


def as_told(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
