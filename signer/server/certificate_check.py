"""Mistakes and warnings about the files of `server.tls`, at their place in the definitions.

The files belong to the machine, not to the definitions: `check` and `serve` fail for them, a reload does not.
"""

from __future__ import annotations

from collections.abc import Iterable

from signer.clock import utc_now
from signer.definitions.excerpt import add_excerpts
from signer.definitions.mistakes import BadDefinitions, Mistake
from signer.definitions.registry import Registry
from signer.server.certificate import CannotUseCertificate, Key, load, watch_of


def certificate_warnings(registry: Registry) -> list[Mistake]:
    """Return what may fail for some clients. Blocks: it reads both files.

    Raises:
        BadDefinitions: TLS is impossible with these files.
    """
    paths = registry.server.tls
    if paths is None:
        return []
    try:
        pair = load(paths, watch_of(paths))
    except CannotUseCertificate as error:
        raise BadDefinitions(_with_places(registry, [(error.key, error.why)])) from None
    return _with_places(registry, pair.cautions(utc_now()))


def _with_places(registry: Registry, found: Iterable[tuple[Key, str]]) -> list[Mistake]:
    text = registry.document
    if text is None:
        return []
    mistakes = [Mistake(text.place(("server", "tls", key)), f"server.tls.{key}: {why}") for key, why in found]
    return add_excerpts(mistakes, text.text_of)
