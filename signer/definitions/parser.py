"""From the text of one or more YAML files to a registry, or to every mistake in them with its place."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from signer.definitions.excerpt import add_excerpts
from signer.definitions.merge import Joined, join
from signer.definitions.mistakes import BadDefinitions, Mistake, in_order
from signer.definitions.reading import Frame, Read, Reading
from signer.definitions.registry import Registry
from signer.definitions.warnings import Cautions
from signer.definitions.yaml_text import YamlFile


def parse(files: Mapping[str, str], environ: Mapping[str, str]) -> Registry:
    """`files`: text by name; `environ` fills `${NAME}`. Raises `BadDefinitions` with all mistakes found."""
    return Parser().read(files, environ)


class Parser:
    """Reads definitions again and again; what has not changed is taken over from the last time.

    Used by one thread at a time.
    """

    def __init__(self) -> None:
        self._files: dict[str, YamlFile] = {}
        self._frame: Frame | None = None
        self._apps: Mapping[str, Read] = {}

    def read(self, files: Mapping[str, str], environ: Mapping[str, str]) -> Registry:
        """`files`: text by name; `environ` fills `${NAME}`. Raises `BadDefinitions` with all mistakes found.

        After mistakes, what was read before still counts.
        """
        parts, mistakes = self._parts(files, environ)
        reading = None
        try:
            text = join(parts, whole=not mistakes)
            reading = Reading(text, environ)
            reading.run(self._frame, self._apps)
        except BadDefinitions as error:
            mistakes += error.mistakes
        if mistakes or reading is None or reading.frame is None:
            for part in parts:
                part.forget_places()
            raise BadDefinitions(add_excerpts(in_order(mistakes), files.get))
        self._files = {part.name: part for part in parts}
        self._frame, self._apps = reading.frame, reading.apps
        return _registry(text, reading.frame, reading.apps)

    def _parts(self, files: Mapping[str, str], environ: Mapping[str, str]) -> tuple[list[YamlFile], list[Mistake]]:
        """The files that are YAML, and what is wrong with the others."""
        parts: list[YamlFile] = []
        mistakes: list[Mistake] = []
        for name in sorted(files):
            known = self._files.get(name)
            try:
                if known is None or not known.still_says(files[name], environ):
                    known = YamlFile(name, files[name], environ)
                parts.append(known)
            except BadDefinitions as error:
                mistakes += error.mistakes
        return parts, mistakes


def _registry(text: Joined, frame: Frame, read: Mapping[str, Read]) -> Registry:
    server, default_app = frame.definitions.server, frame.definitions.default_app
    apps = {app_id: each.app for app_id, each in read.items()}
    roles = {each.app.role: each.role for each in read.values()}
    found = {app_id: each.cautions for app_id, each in read.items() if each.cautions}
    # It holds no registry: they would hold each other, and neither would ever be freed.
    warnings = partial(_warnings, Cautions(text, apps, roles, default_app, found))
    limits, audit = frame.definitions.limits, frame.definitions.audit
    return Registry(server, MappingProxyType(apps), MappingProxyType(roles), default_app, warnings, text, limits, audit)


def _warnings(cautions: Cautions) -> list[Mistake]:
    try:
        return add_excerpts(in_order(cautions.find()), cautions.text.text_of)
    finally:
        cautions.text.forget_places()
