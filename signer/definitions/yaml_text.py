"""YAML text to plain values with `${...}` filled in, and the place of each value for those who ask.

YAML 1.2's idea of scalars: only `true` and `false` are booleans, numbers are decimal, and a key may stand once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from signer.definitions.interpolation import BadReference, interpolate, values
from signer.definitions.masking import lines_of
from signer.definitions.mistakes import MAX_MISTAKES, BadDefinitions, Mistake, Place
from signer.definitions.suggestions import dotted, printable_name
from signer.definitions.syntax import MAX_DEPTH, compose

Path_ = tuple[str | int, ...]

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_ALIAS_VALUES = 10_000
"""How many values aliases may add to a file, so that a few lines cannot become millions of values."""


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
        self.left_out = walk.left_out
        """Values that could not be read, which is told in `mistakes`; they stand as empty."""
        self._filled = walk.filled

    def still_says(self, text: str, environ: Mapping[str, str]) -> bool:
        """Whether reading this text in this environment would give the same again."""
        if text != self.text or self.mistakes:
            return False
        try:
            return all(interpolate(reference, environ) == value for reference, value in self._filled.items())
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
        """The place of `path`; of the nearest key above it where the text does not hold it."""
        walked = self._places()
        if path in walked.places:
            return walked.places[path]
        while path and path not in walked.keys:
            path = path[:-1]
        return walked.keys.get(path, Place(self.name, 1, 1))

    def key_place(self, path: Path_) -> Place:
        """The place of the key that `path` ends in, rather than of its value."""
        place = self._places().keys.get(path)
        return self.place(path) if place is None else place

    def filled_in(self, path: Path_) -> list[str]:
        """What the `${...}` in a value stand for; may be secret."""
        return list(values(self.references.get(path, ""), self._environ))

    def forget_places(self) -> None:
        """They take ten times the memory of the values."""
        self._walked = None

    def _places(self) -> _Walk:
        walked = self._walked
        if walked is None:
            walked = _Walk(self.name, self.text, self._environ, keep_places=True)
            walked.run()
            # Others may ask from another thread: only what is complete is kept.
            self._walked = walked
        return walked


class _Walk:
    def __init__(self, name: str, text: str, environ: Mapping[str, str], *, keep_places: bool) -> None:
        self.places: dict[Path_, Place] = {(): Place(name, 1, 1)}
        self.keys: dict[Path_, Place] = {}
        self.mistakes: list[Mistake] = []
        self.references: dict[Path_, str] = {}
        self.left_out: set[Path_] = set()
        self.filled: dict[str, str] = {}
        self._name = name
        self._text = text.removeprefix("\ufeff")
        self._environ = environ
        self._keep_places = keep_places
        self._said = len(self._text.rstrip())
        """Where the text ends but for blanks."""
        self._values_left = 0
        self._section: yaml.Node | None = None

    def run(self) -> Any:
        node, nodes = compose(self._name, self._text)
        self._values_left = nodes + _ALIAS_VALUES
        value = {} if node is None else self._value(node, ())
        return {} if value is None else value

    def _place(self, node: yaml.Node) -> Place:
        start, end = node.start_mark, node.end_mark
        if start.index == end.index and start.index >= self._said:
            # What is left empty at the end of a text is behind it for libyaml.
            return Place(self._name, len(lines_of(self._text[: self._said])), 1)
        width = end.column - start.column if end.line == start.line else 1
        return Place(self._name, start.line + 1, start.column + 1, max(width, 1))

    def _wrong(self, place: Place, path: Path_, message: str) -> None:
        self.mistakes.append(Mistake(place, f"{dotted(path)}: {message}" if path else message))
        if len(self.mistakes) >= MAX_MISTAKES:
            raise BadDefinitions(self.mistakes)

    def _value(self, node: yaml.Node, path: Path_) -> Any:
        if self._keep_places:
            self.places[path] = self._place(node)
        self._values_left -= 1
        if self._values_left < 0:
            message = f"the aliases (*name) up to here add more than {_ALIAS_VALUES:,} values; write them out"
            raise BadDefinitions([Mistake(self._place(self._section or node), message)])
        if node.tag:
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            self._wrong(self._place(node), path, f"takes no tag; leave {printable_name(tag)} out")
            self.left_out.add(path)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if len(path) >= MAX_DEPTH:
            self._wrong(self._place(node), path, f"nested deeper than {MAX_DEPTH} levels by its aliases (*name)")
            self.left_out.add(path)
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        result: dict[str, Any] = {}
        first: dict[str, yaml.Node] = {}
        for key_node, value_node in node.value:
            self._values_left -= 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._wrong(self._place(key_node), path, "a key must be plain text, not a list or a mapping")
                continue
            key = key_node.value
            if key_node.tag:
                self._wrong(self._place(key_node), (*path, key), "a key takes no tag")
            if key == "<<":
                self._wrong(
                    self._place(key_node),
                    path,
                    "there are no merge keys (<<) here; put what apps share under defaults",
                )
                continue
            if key in result:
                place = self._place(key_node)
                self._wrong(
                    place, (*path, key), f"stands here a second time; the first is at {self._place(first[key])}"
                )
                continue
            first[key] = key_node
            if not path:
                self._section = key_node
            if self._keep_places:
                self.keys[(*path, key)] = self._place(key_node)
            value = result[key] = self._value(value_node, (*path, key))
            if self._keep_places and value is None and value_node.start_mark.index == value_node.end_mark.index:
                self.places[(*path, key)] = self._place(key_node)
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
            self.filled[text] = interpolate(text, self._environ)
        except BadReference as error:
            for complaint in error.complaints:
                self._wrong(self._inside(node, complaint.start, complaint.end), path, complaint.why)
            self.left_out.add(path)
            return ""
        return self.filled[text]

    def _inside(self, node: yaml.ScalarNode, start: int, end: int) -> Place:
        """The place of `value[start:end]`, where the value stands in the text as it is."""
        whole = self._place(node)
        lead = 1 if node.style in ("'", '"') else 0
        if whole.width != len(node.value) + 2 * lead:
            return whole
        return Place(whole.file, whole.line, whole.column + lead + start, end - start)
