"""Mistakes and warnings about the files of `server.tls`, at their place in the definitions.

The files belong to the machine, not to the definitions: `check` and `serve` fail for them, a reload does not.
"""

from __future__ import annotations

from collections.abc import Iterable

from signer.clock import utc_now
from signer.definitions.mistakes import BadDefinitions, Mistake, Violation
from signer.definitions.places import locate
from signer.definitions.registry import Registry
from signer.server.certificate import CannotUseCertificate, TlsFile, certificate_poller, load_certificate


def certificate_warnings(registry: Registry) -> list[Mistake]:
    """Return what may fail for some clients. Blocks: it reads both files.

    Raises:
        BadDefinitions: TLS is impossible with these files.
    """
    paths = registry.server.tls
    if paths is None:
        return []
    try:
        loaded = load_certificate(paths, certificate_poller(paths))
    except CannotUseCertificate as error:
        raise BadDefinitions(_with_places(registry, [(error.file, error.reason)])) from None
    return _with_places(registry, loaded.warnings(utc_now()))


def _with_places(registry: Registry, found: Iterable[tuple[TlsFile, str]]) -> list[Mistake]:
    document = registry.document
    if document is None:
        return []
    return locate([Violation(("server", "tls", file), reason) for file, reason in found], document)
