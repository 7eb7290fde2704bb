"""The languages of the configuration page: English from the models' docstrings, Chinese from a file that is kept in step."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import yaml

from signer.definitions import model
from signer.definitions.credential_model import StrictModel, StsRole
from tools.json_schema import Schema, field_docstrings

_DIRECTORY = Path(__file__).parent
CHINESE = _DIRECTORY / "configuration.zh-CN.yaml"
_ABOUT = "about"
"""The name of a model's own text among those of its fields."""


class Language(Protocol):
    """The texts of the configuration page in one language."""

    def head(self) -> str:
        """Return the start of the page, which is written by hand."""
        ...

    def words(self, english: str) -> str:
        """Return a heading, a type or a sentence of the page."""
        ...

    def describe(self, document: Schema) -> None:
        """Put the descriptions of models and fields into a JSON Schema."""
        ...


class English:
    """The texts as they stand in the models and in the generator."""

    def head(self) -> str:
        return (_DIRECTORY / "configuration.head.md").read_text(encoding="utf-8")

    def words(self, english: str) -> str:
        return english

    def describe(self, document: Schema) -> None:
        """Leave the descriptions as the schema has them."""


class Chinese:
    """The texts of tools/configuration.zh-CN.yaml; a text without Chinese stays English and is a mistake."""

    def __init__(self, texts: Mapping[str, Any] | None = None) -> None:
        """Read the texts; others than those of the file are for tests."""
        self._texts = texts or chinese_texts()
        self._used: set[tuple[str, str]] = set()
        self._mistakes: dict[str, None] = {}

    def head(self) -> str:
        return (_DIRECTORY / "configuration.head.zh-CN.md").read_text(encoding="utf-8")

    def words(self, english: str) -> str:
        self._used.add(("words", english))
        if english not in self._texts["words"]:
            self._mistakes[f"words has no {english!r}; add it with its Chinese text"] = None
        return str(self._texts["words"].get(english, english))

    def describe(self, document: Schema) -> None:
        for entry in model.all_models():
            described = document if entry is model.Definitions else document["$defs"].get(entry.__name__)
            if described is None or entry is model.AppEntry:
                continue
            described["description"] = self._description(entry, _ABOUT, described["description"])
            docstrings = field_docstrings(entry)
            for name, member in described["properties"].items():
                member["description"] = self._description(_owner(entry, name), name, docstrings[name])
                if issubclass(entry, StsRole) and (variable := entry.environment_variables.get(name)):
                    suffix = self.words("; default: the environment variable `{variable}`.").format(variable=variable)
                    member["description"] = member["description"].removesuffix("。") + suffix

    def mistakes(self) -> Iterator[str]:
        """Yield what to correct in the file, after the page was generated."""
        yield from self._mistakes
        for section, texts in self._texts.items():
            for name in texts:
                if (section, name) not in self._used:
                    yield f"{section} has {name!r}, which the page does not; remove it"

    def _description(self, entry: type[StrictModel], name: str, english: str) -> str:
        section = entry.__name__
        self._used.add((section, name))
        written, chinese = self._texts.get(section, {}).get(name, ("", english))
        if written != fingerprint(english):
            what = "has no Chinese text" if not written else "has another English text now"
            line = f'{name}: [{fingerprint(english)}, "…"]'
            self._mistakes[f"{section}.{name} {what}; write {line} for: {english}"] = None
        return str(chinese)


def chinese_texts() -> dict[str, Any]:
    """Return `words`, by their English text, and for each model the hash and the Chinese text of each field."""
    # BaseLoader makes texts only, also of a hash that is all digits.
    texts: dict[str, Any] = yaml.load(CHINESE.read_text(encoding="utf-8"), yaml.BaseLoader)  # noqa: S506
    return texts


def fingerprint(english: str) -> str:
    """Return 8 hex digits that change with an English text, but not with its line breaks."""
    return hashlib.sha256(" ".join(english.split()).encode()).hexdigest()[:8]


def _owner(entry: type[StrictModel], name: str) -> type[StrictModel]:
    """Return the model that declares a field, so that a field that several inherit has one text."""
    return next(
        each for each in entry.__mro__ if issubclass(each, StrictModel) and name in inspect.get_annotations(each)
    )
