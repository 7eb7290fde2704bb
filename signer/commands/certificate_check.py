"""What is wrong with the files of `server.tls`, at their place in the definitions.

They belong to the machine, not to the definitions: a reload does not fail for them, `check` and a start do.
"""

from __future__ import annotations

from collections.abc import Iterator

from signer.clock import utc_now
from signer.definitions.excerpt import add_excerpts
from signer.definitions.mistakes import BadDefinitions, Mistake
from signer.definitions.registry import Registry
from signer.server.certificate import CannotUseCertificate, Key, load, watch_of


def certificate_warnings(registry: Registry) -> list[Mistake]:
    """What works, but not for everybody; may block. Raises `BadDefinitions` where they cannot be served with."""
    paths = registry.server.tls
    if paths is None:
        return []
    try:
        pair = load(paths, watch_of(paths))
    except CannotUseCertificate as error:
        raise BadDefinitions(_placed(registry, [(error.key, error.why)])) from None
    return _placed(registry, pair.cautions(utc_now()))


def _placed(registry: Registry, found: Iterator[tuple[Key, str]] | list[tuple[Key, str]]) -> list[Mistake]:
    text = registry.document
    if text is None:
        return []
    mistakes = [Mistake(text.place(("server", "tls", key)), f"server.tls.{key}: {why}") for key, why in found]
    return add_excerpts(mistakes, text.text_of)
