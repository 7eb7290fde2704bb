"""The TLS certificate and its key: load them from two PEM files, and validate them.

Protocols and ciphers are those of Mozilla's intermediate configuration, without the ciphers that need Diffie-Hellman
parameters.

See: https://wiki.mozilla.org/Security/Server_Side_TLS
"""

import ssl
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from signer.clock import rfc3339, utc_now
from signer.definitions import model
from signer.definitions.mistakes import BadDefinitions, Mistake, Violation
from signer.definitions.places import locate
from signer.definitions.registry import Registry
from signer.file_calls import fix_for
from signer.regular_file import NotARegularFile, read_regular_file
from signer.stores.file_polling import FilePoller, FilesKeepChanging

_CIPHERS = ":".join(
    f"ECDHE-{kind}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for kind in ("ECDSA", "RSA")
)
_MAX_FILE_BYTES = 2**20

TlsFile = Literal["certificate", "key"]
"""One of the two files, by its key under `server.tls`."""


class CannotUseCertificate(Exception):
    """One of the two files cannot be used; the text gives the reason and the fix, and quotes nothing of the file."""

    def __init__(self, file: TlsFile, reason: str, *, is_transient: bool = False) -> None:
        super().__init__(f"server.tls.{file}: {reason}")
        self.file, self.reason = file, reason
        self.is_transient = is_transient
        """Whether the same files may be usable later, since they could not be read."""


class _KeyIsEncrypted(Exception): ...


@dataclass(frozen=True, slots=True)
class LoadedCertificate:
    """A certificate with its key, ready to serve with."""

    context: ssl.SSLContext = field(repr=False)
    fingerprint: str
    """The SHA-256 of the certificate, in hex."""
    names: tuple[str, ...]
    """The host names and IP addresses that it is valid for."""
    starts_at: datetime
    expires_at: datetime
    is_chain_missing: bool
    """Whether the file has no issuer's certificate, and the certificate is not self-signed."""
    is_key_world_readable: bool

    def warnings(self, now: datetime) -> Iterator[tuple[TlsFile, str]]:
        """Yield what fails for some clients, or endangers the key."""
        if now > self.expires_at:
            yield "certificate", f"expired at {rfc3339(self.expires_at)}, so phones refuse it; renew it"
        if now < self.starts_at:
            yield "certificate", f"is valid only from {rfc3339(self.starts_at)}; check this machine's clock"
        if self.is_chain_missing:
            fix = "use the file with the whole chain, for example fullchain.pem"
            yield "certificate", f"contains no certificate of its issuer, so some phones refuse it; {fix}"
        if self.is_key_world_readable:
            yield "key", "every user of this machine can read it; chmod 640 or 600"


async def certificate_warnings(registry: Registry) -> list[Mistake]:
    """Return what may fail for some clients, at its place in the definitions; raise `BadDefinitions` without TLS.

    The files belong to the machine, not to the definitions, so no reload fails for them.
    """
    paths = registry.server.tls
    if paths is None:
        return []
    try:
        loaded = await load_certificate(paths, certificate_poller(paths))
    except CannotUseCertificate as error:
        raise BadDefinitions(_with_places(registry, [(error.file, error.reason)])) from None
    return _with_places(registry, loaded.warnings(utc_now()))


def _with_places(registry: Registry, found: Iterable[tuple[TlsFile, str]]) -> list[Mistake]:
    violations = [Violation(("server", "tls", file), reason) for file, reason in found]
    return [] if registry.document is None else locate(violations, registry.document)


def certificate_poller(paths: model.Tls) -> FilePoller:
    """Return a poller of both files."""
    return FilePoller(lambda: [paths.certificate, paths.key])


async def load_certificate(paths: model.Tls, poller: FilePoller) -> LoadedCertificate:
    """Read both files as they are at one moment, or raise `CannotUseCertificate`."""
    try:
        return await poller.read(lambda: _read(paths))
    except CannotUseCertificate as error:
        if error.is_transient:
            poller.forget()
        raise
    except FilesKeepChanging:
        reason = "changes while it is read; replace the file atomically"
    except OSError as error:
        reason = f"{paths.certificate} or its key cannot be read: {error.strerror}; {fix_for(error, 'try again')}"
    raise CannotUseCertificate("certificate", reason, is_transient=True)


def _read(paths: model.Tls) -> LoadedCertificate:
    certificate, key = _content("certificate", paths.certificate), _content("key", paths.key)
    chain = _parse_chain(certificate)
    fix = "use the file that certbot calls"
    if not chain:
        reason = f"{paths.certificate} contains no complete PEM certificate; {fix} fullchain.pem"
        raise CannotUseCertificate("certificate", reason)
    if b"PRIVATE KEY-----" not in key:
        raise CannotUseCertificate("key", f"{paths.key} contains no PEM private key; {fix} privkey.pem")
    leaf = chain[0]
    return LoadedCertificate(
        _create_context(paths),
        leaf.fingerprint(SHA256()).hex(),
        _names(leaf),
        leaf.not_valid_before_utc,
        leaf.not_valid_after_utc,
        is_chain_missing=len(chain) == 1 and leaf.issuer != leaf.subject,
        is_key_world_readable=bool(Path(paths.key).stat().st_mode & stat.S_IROTH),
    )


def _parse_chain(text: bytes) -> list[x509.Certificate]:
    """Return the certificates; none where one of them is truncated or invalid."""
    try:
        chain = x509.load_pem_x509_certificates(text)
    except ValueError:
        return []
    is_complete = text.count(b"-----BEGIN ") == text.count(b"-----END ")
    return chain if is_complete and text.count(b"-----BEGIN CERTIFICATE-----") == len(chain) else []


def _content(file: TlsFile, path: str) -> bytes:
    try:
        return read_regular_file(Path(path), max_bytes=_MAX_FILE_BYTES)
    except (NotARegularFile, IsADirectoryError):
        reason, fix = "is not a regular file", "write the path of a PEM file"
    except PermissionError:
        reason, fix = "cannot be read: Permission denied", "allow the signer's user to read it"
    except OSError as error:
        reason, fix = f"cannot be read: {error.strerror}", "write the path of the PEM file from certbot or your CA"
    raise CannotUseCertificate(file, f"{path} {reason}; {fix}", is_transient=True)


def _create_context(paths: model.Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    # All of these ciphers are strong; the client chooses the one that is fast on its hardware.
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(paths.certificate, paths.key, password=_refuse_password)
    except _KeyIsEncrypted:
        fix = "write it without a password: openssl pkey -in OLD -out NEW"
        raise CannotUseCertificate("key", f"{paths.key} is encrypted; {fix}") from None
    except ssl.SSLError as error:
        raise _unusable(paths, error.reason or "") from None
    except OSError as error:
        raise CannotUseCertificate("certificate", f"cannot be read: {error.strerror}", is_transient=True) from None
    return context


def _refuse_password() -> str:
    # Without a callback, OpenSSL prompts at the terminal.
    raise _KeyIsEncrypted


def _unusable(paths: model.Tls, reason: str) -> CannotUseCertificate:
    if "MISMATCH" in reason:
        fix = "use the key of that certificate"
        reason = f"{paths.key} does not belong to the first certificate in {paths.certificate}; {fix}"
        return CannotUseCertificate("key", reason)
    if "TOO_SMALL" in reason or "TOO_WEAK" in reason:
        fix = "issue one for an RSA key of 2048 bits, or for P-256"
        return CannotUseCertificate("certificate", f"{paths.certificate} is too weak ({reason}); {fix}")
    reason = f"{paths.key} contains no complete private key ({reason or 'unreadable'}); write the file again"
    return CannotUseCertificate("key", reason)


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return (*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress)))
