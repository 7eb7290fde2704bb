"""YAML text to plain values, with the place of every value kept, and `${...}` filled in.

YAML 1.2's idea of scalars: only `true` and `false` are booleans, numbers are decimal, and a key may stand once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class Located:
    """One file's value, and the place of each path in it; `keys` holds the places of the keys themselves."""

    value: Any
    places: dict[Path_, Place]
    keys: dict[Path_, Place]
    mistakes: list[Mistake] = field(default_factory=list)
    references: dict[Path_, str] = field(default_factory=dict)
    """The text of each value that had `${...}` in it, as it was written."""

    def place(self, path: Path_) -> Place:
        """The place of `path`, or of the nearest thing above it that the text holds."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places[path]


def load(name: str, text: str, environ: Mapping[str, str]) -> Located:
    """Reads one file. Raises `BadDefinitions` for text that is no YAML; smaller mistakes are kept in the result."""
    start = Place(name, 1, 1)
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(name, mark.line + 1, mark.column + 1) if mark else start
        lines = text.splitlines()
        tab = mark is not None and mark.line < len(lines) and lines[mark.line][mark.column : mark.column + 1] == "\t"
        why = "indent with spaces, not tabs" if tab else error.problem or error.context
        raise BadDefinitions([Mistake(place, f"is no valid YAML: {why}")]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadDefinitions([Mistake(start, f"is no valid YAML: {str(error).splitlines()[0]}")]) from None
    located = Located({}, {(): start}, {})
    if node is not None:
        located.value = _Walk(name, environ, located, budget=len(text) + _ALIAS_VALUES).value(node, ())
    return located


class _Walk:
    def __init__(self, name: str, environ: Mapping[str, str], located: Located, budget: int) -> None:
        self._name = name
        self._budget = budget
        self._environ = environ
        self._located = located

    def _place(self, node: yaml.Node) -> Place:
        return Place(self._name, node.start_mark.line + 1, node.start_mark.column + 1)

    def _wrong(self, node: yaml.Node, message: str) -> None:
        self._located.mistakes.append(Mistake(self._place(node), message))

    def value(self, node: yaml.Node, path: Path_) -> Any:
        self._located.places[path] = self._place(node)
        self._budget -= 1
        if self._budget < 0:
            raise BadDefinitions([Mistake(self._place(node), "its aliases make it too large")])
        if len(path) > _MAX_DEPTH:
            self._wrong(node, f"is nested deeper than {_MAX_DEPTH} levels")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._wrong(key_node, "is no plain key")
                continue
            key = key_node.value
            if key == "<<":
                self._wrong(key_node, "merge keys are not supported; put what apps share under defaults")
                continue
            if key in result:
                first = self._located.keys[(*path, key)]
                self._wrong(key_node, f"'{key}' stands here a second time; the first is at {first}")
                continue
            self._located.keys[(*path, key)] = self._place(key_node)
            result[key] = self.value(value_node, (*path, key))
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
        self._located.references[path] = text
        try:
            return fill(text, self._environ)
        except BadReference as error:
            self._wrong(node, str(error))
            return ""
