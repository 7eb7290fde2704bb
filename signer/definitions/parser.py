"""Definitions from YAML files in four stages: read, merge, validate, compile."""

from collections.abc import Mapping

from signer.definitions.compile import compile_definitions
from signer.definitions.excerpt import add_excerpts
from signer.definitions.merge import merge
from signer.definitions.mistakes import BadDefinitions, Mistake, Place
from signer.definitions.places import locate
from signer.definitions.read import SourceFile, read
from signer.definitions.registry import Registry
from signer.definitions.validate import Baseline, validate


def parse(files: Mapping[str, str], environ: Mapping[str, str]) -> Registry:
    """Return the registry of YAML files, given by name, or raise `BadDefinitions` with all mistakes in them."""
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
        """Return the registry of YAML files, see `parse`; after mistakes, what was accepted last stays the baseline."""
        sources, mistakes = self._read_files(files, environ)
        if not sources:
            raise BadDefinitions(add_excerpts(mistakes, files))
        document = merge(sources, is_complete=not mistakes)
        validation = validate(document, environ, self._accepted)
        mistakes += [mistake for source in sources for mistake in source.mistakes]
        mistakes += locate(validation.violations, document)
        if mistakes or validation.accepted is None:
            raise BadDefinitions(add_excerpts(mistakes, files))
        registry = compile_definitions(validation.accepted, validation.changed_apps, document, self._registry)
        self._files = {file.name: file for file in sources}
        self._accepted, self._registry = validation.accepted, registry
        return registry

    def _read_files(
        self, files: Mapping[str, str], environ: Mapping[str, str]
    ) -> tuple[list[SourceFile], list[Mistake]]:
        """Return the files that can be read, and why the others cannot."""
        if not files:
            message = "there are no *.yaml or *.yml files to read; add one, or name another place with --config"
            return [], [Mistake(Place("(no file)", 1, 1), message)]
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
