"""YAML text to plain values with `${...}` filled in, and the place of each value for those who ask.

YAML 1.2's idea of scalars: only `true` and `false` are booleans, numbers are decimal, and a key may stand once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from signer.definitions.mistakes import BadDefinitions, Mistake, Place
from signer.definitions.references import BadReference, fill

Path_ = tuple[str | int, ...]

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_MAX_DEPTH = 32
_ALIAS_VALUES = 10_000
"""How many values aliases may add to a file, so that a few lines cannot become millions of values."""


class _Loader(yaml.CSafeLoader):
    """libyaml's parser; scalars stay text and are typed below."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


class YamlFile:
    """One file, read. Values are kept; places are worked out from the text again when somebody asks for one."""

    def __init__(self, name: str, text: str, environ: Mapping[str, str]) -> None:
        """Raises `BadDefinitions` for text that is no YAML; smaller mistakes are kept in `mistakes`."""
        self.name = name
        self.text = text
        self._environ = environ
        self._walked: _Walk | None = None
        walk = _Walk(name, text, environ, keep_places=False)
        self.value: Any = walk.run()
        self.mistakes: list[Mistake] = walk.mistakes
        self.references: dict[Path_, str] = walk.references
        """The text of each value that had `${...}` in it, as it was written."""
        self._filled = walk.filled

    def still_says(self, text: str, environ: Mapping[str, str]) -> bool:
        """Whether reading this text in this environment would give the same again."""
        if text != self.text or self.mistakes:
            return False
        try:
            return all(fill(reference, environ) == value for reference, value in self._filled.items())
        except BadReference:
            return False

    def holds(self, path: Path_) -> bool:
        value = self.value
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return False
        return True

    def place(self, path: Path_) -> Place:
        """The place of `path`, or of the nearest thing above it that the text holds."""
        places = self._places().places
        while path and path not in places:
            path = path[:-1]
        return places.get(path, Place(self.name, 1, 1))

    def key_place(self, path: Path_) -> Place:
        """The place of the key that `path` ends in, rather than of its value."""
        return self._places().keys.get(path) or self.place(path)

    def _places(self) -> _Walk:
        if self._walked is None:
            self._walked = _Walk(self.name, self.text, self._environ, keep_places=True)
            self._walked.run()
        return self._walked


def _compose(name: str, text: str) -> yaml.Node | None:
    start = Place(name, 1, 1)
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(name, mark.line + 1, mark.column + 1) if mark else start
        lines = text.splitlines()
        tab = mark is not None and mark.line < len(lines) and lines[mark.line][mark.column : mark.column + 1] == "\t"
        why = "indent with spaces, not tabs" if tab else error.problem or error.context
        raise BadDefinitions([Mistake(place, f"is no valid YAML: {why}")]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadDefinitions([Mistake(start, f"is no valid YAML: {str(error).splitlines()[0]}")]) from None


class _Walk:
    def __init__(self, name: str, text: str, environ: Mapping[str, str], *, keep_places: bool) -> None:
        self.places: dict[Path_, Place] = {(): Place(name, 1, 1)}
        self.keys: dict[Path_, Place] = {}
        self.mistakes: list[Mistake] = []
        self.references: dict[Path_, str] = {}
        self.filled: dict[str, str] = {}
        self._name = name
        self._text = text
        self._environ = environ
        self._keep_places = keep_places
        self._budget = len(text) + _ALIAS_VALUES

    def run(self) -> Any:
        node = _compose(self._name, self._text)
        return {} if node is None else self._value(node, ())

    def _place(self, node: yaml.Node) -> Place:
        return Place(self._name, node.start_mark.line + 1, node.start_mark.column + 1)

    def _wrong(self, node: yaml.Node, message: str) -> None:
        self.mistakes.append(Mistake(self._place(node), message))

    def _value(self, node: yaml.Node, path: Path_) -> Any:
        if self._keep_places:
            self.places[path] = self._place(node)
        self._budget -= 1
        if self._budget < 0:
            raise BadDefinitions([Mistake(self._place(node), "its aliases make it too large")])
        if len(path) > _MAX_DEPTH:
            self._wrong(node, f"is nested deeper than {_MAX_DEPTH} levels")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        result: dict[str, Any] = {}
        first: dict[str, yaml.Node] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._wrong(key_node, "is no plain key")
                continue
            key = key_node.value
            if key == "<<":
                self._wrong(key_node, "merge keys are not supported; put what apps share under defaults")
                continue
            if key in result:
                self._wrong(key_node, f"'{key}' stands here a second time; the first is at {self._place(first[key])}")
                continue
            first[key] = key_node
            if self._keep_places:
                self.keys[(*path, key)] = self._place(key_node)
            result[key] = self._value(value_node, (*path, key))
        return result

    def _scalar(self, node: yaml.ScalarNode, path: Path_) -> Any:
        text: str = node.value
        if not node.style:
            if text in {"", "~", "null"}:
                return None
            if text in {"true", "false"}:
                return text == "true"
            if _INTEGER.fullmatch(text):
                return int(text) if len(text) < 20 else text
        if "${" not in text or path[-2:] == ("callback", "body"):
            return text
        self.references[path] = text
        try:
            self.filled[text] = fill(text, self._environ)
        except BadReference as error:
            self._wrong(node, str(error))
            return ""
        return self.filled[text]
