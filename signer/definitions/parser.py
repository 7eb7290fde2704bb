"""Definitions from YAML files in four stages: read, merge, validate, compile."""

from __future__ import annotations

from collections.abc import Mapping

from signer.definitions.compile import compile_definitions
from signer.definitions.excerpt import add_excerpts
from signer.definitions.merge import Document, merge
from signer.definitions.mistakes import BadDefinitions, Mistake, Place, sort_mistakes
from signer.definitions.places import locate
from signer.definitions.read import SourceFile, read
from signer.definitions.registry import Registry
from signer.definitions.validate import Baseline, Validation, validate


def parse(files: Mapping[str, str], environ: Mapping[str, str]) -> Registry:
    """Return the registry of YAML files.

    Args:
        files: the text of each file by its name.
        environ: the variables for `${NAME}`.

    Raises:
        BadDefinitions: with all mistakes in the files.
    """
    return Parser().parse(files, environ)


class Parser:
    """Parses definitions again after each change; what did not change is not parsed again.

    It may be used by one thread at a time.
    """

    def __init__(self) -> None:
        self._files: dict[str, SourceFile] = {}
        self._accepted: Baseline | None = None
        self._registry: Registry | None = None

    def parse(self, files: Mapping[str, str], environ: Mapping[str, str]) -> Registry:
        """Return the registry of YAML files; see `parse`.

        After mistakes, the next call compares with what was accepted last.
        """
        sources, mistakes = self._read_files(files, environ)
        if not sources:
            raise BadDefinitions(add_excerpts(sort_mistakes(mistakes), files.get))
        document = merge(sources, is_complete=not mistakes)
        validation = validate(document, environ, self._accepted)
        mistakes += [mistake for source in sources for mistake in source.mistakes]
        mistakes += locate(validation.violations, document)
        if mistakes or validation.accepted is None:
            raise BadDefinitions(add_excerpts(sort_mistakes(mistakes), files.get))
        return self._accept(document, validation)

    def _read_files(
        self, files: Mapping[str, str], environ: Mapping[str, str]
    ) -> tuple[list[SourceFile], list[Mistake]]:
        """Return the files that can be read, and why the others cannot."""
        if not files:
            return [], [
                Mistake(
                    Place("(no file)", 1, 1),
                    "there are no *.yaml files to read; add one, or name another place with --config",
                )
            ]
        sources: list[SourceFile] = []
        mistakes: list[Mistake] = []
        for name in sorted(files):
            known = self._files.get(name)
            try:
                if known is None or not known.is_current(files[name], environ):
                    known = read(name, files[name], environ)
                sources.append(known)
            except BadDefinitions as error:
                mistakes += error.mistakes
        return sources, mistakes

    def _accept(self, document: Document, validation: Validation) -> Registry:
        registry = compile_definitions(validation, document, self._registry)
        self._files = {file.name: file for file in document.files}
        self._accepted, self._registry = validation.accepted, registry
        return registry
