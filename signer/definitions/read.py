"""Stage 1, read: one YAML file to plain values with `${...}` interpolated.

Scalars follow YAML 1.2: only `true` and `false` are booleans, and numbers are decimal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from signer.definitions.interpolation import BadReference, interpolate
from signer.definitions.mistakes import MAX_MISTAKES, BadDefinitions, KeyPath, Mistake, Place, format_path
from signer.definitions.redaction import printable_name
from signer.definitions.yaml_syntax import MAX_DEPTH, YamlTree, parse_yaml

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_MAX_ALIAS_VALUES = 10_000
"""How many values aliases may add to a file, so that a few lines cannot become millions of values."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file as plain values."""

    name: str
    text: str = field(repr=False)
    value: dict[str, Any] = field(repr=False)
    templates: dict[KeyPath, str] = field(repr=False)
    """The text of each value that contains `${...}`, as written."""
    interpolated: dict[str, str] = field(repr=False)
    """The result of each template."""
    unreadable: set[KeyPath]
    """Values that could not be read, as `mistakes` says; they are empty here."""
    mistakes: list[Mistake]

    def is_current(self, text: str, environ: Mapping[str, str]) -> bool:
        """Return whether reading this text in this environment would give the same values."""
        if text != self.text or self.mistakes:
            return False
        try:
            return all(interpolate(template, environ) == value for template, value in self.interpolated.items())
        except BadReference:
            return False

    def has(self, path: KeyPath) -> bool:
        """Return whether the file has a value at this path."""
        value: Any = self.value
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return False
        return True


def read(name: str, text: str, environ: Mapping[str, str]) -> SourceFile:
    """Return the values of one file; mistakes in single values are kept in `mistakes`.

    Raises:
        BadDefinitions: the file as a whole cannot be used.
    """
    tree = parse_yaml(name, text)
    reader = _Reader(tree, environ)
    value = None if tree.root is None else reader.value(tree.root, ())
    if tree.root is not None and value is not None and not isinstance(value, dict):
        kind = "a list" if isinstance(value, list) else "a single value"
        message = f"this file contains {kind}; write keys and values, starting with version: 1"
        raise BadDefinitions([*reader.mistakes, Mistake(tree.place(tree.root), message)])
    return SourceFile(
        name, text, value or {}, reader.templates, reader.interpolated, reader.unreadable, reader.mistakes
    )


class _Reader:
    """Turns nodes into values."""

    def __init__(self, tree: YamlTree, environ: Mapping[str, str]) -> None:
        self.templates: dict[KeyPath, str] = {}
        self.interpolated: dict[str, str] = {}
        self.unreadable: set[KeyPath] = set()
        self.mistakes: list[Mistake] = []
        self._tree = tree
        self._environ = environ
        self._values_left = tree.node_count + _MAX_ALIAS_VALUES
        self._section: yaml.Node | None = None
        """The top-level key that is being read."""

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._values_left -= 1
        if self._values_left < 0:
            message = f"the aliases (*name) up to here add more than {_MAX_ALIAS_VALUES:,} values; write the values out"
            raise BadDefinitions([Mistake(self._tree.place(self._section or node), message)])
        if node.tag:
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            self._reject(path, node, f"tags are not supported; remove {printable_name(tag)}")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if len(path) >= MAX_DEPTH:
            message = f"aliases (*name) nest this value deeper than {MAX_DEPTH} levels; write it out"
            self._reject(path, node, message)
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        first: dict[str, yaml.Node] = {}
        for key_node, value_node in node.value:
            self._values_left -= 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._add_mistake(path, key_node, "this key is a list or a mapping; write text")
                continue
            key: str = key_node.value
            if key_node.tag:
                self._add_mistake((*path, key), key_node, "a key cannot have a tag; remove it")
            if key == "<<":
                message = "merge keys (<<) are not supported; put what apps share under defaults"
                self._add_mistake(path, key_node, message)
            elif key in result:
                message = f"this key is already set at {self._tree.place(first[key])}; remove one of the two"
                self._add_mistake((*path, key), key_node, message)
            else:
                first[key] = key_node
                if not path:
                    self._section = key_node
                result[key] = self.value(value_node, (*path, key))
        return result

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        text: str = node.value
        if not node.style:
            if text in {"", "~", "null"}:
                return None
            if text in {"true", "false"}:
                return text == "true"
            if _INTEGER.fullmatch(text):
                return int(text) if len(text) < 20 else text
        # In the body of a callback, `${...}` are OSS's own variables.
        if "${" not in text or path[-2:] == ("callback", "body"):
            return text
        self.templates[path] = text
        try:
            self.interpolated[text] = interpolate(text, self._environ)
        except BadReference as error:
            for reference in error.unresolved:
                self._reject(path, self._part(node, reference.start, reference.end), reference.reason)
            return ""
        return self.interpolated[text]

    def _part(self, node: yaml.ScalarNode, start: int, end: int) -> Place:
        """Return the place of `value[start:end]`; that of the whole value where escapes or line breaks move it."""
        whole = self._tree.place(node)
        lead = 1 if node.style in ("'", '"') else 0
        if whole.width != len(node.value) + 2 * lead:
            return whole
        return Place(whole.file, whole.line, whole.column + lead + start, end - start)

    def _reject(self, path: KeyPath, at: yaml.Node | Place, message: str) -> None:
        self.unreadable.add(path)
        self._add_mistake(path, at, message)

    def _add_mistake(self, path: KeyPath, at: yaml.Node | Place, message: str) -> None:
        place = self._tree.place(at) if isinstance(at, yaml.Node) else at
        self.mistakes.append(Mistake(place, f"{format_path(path)}: {message}" if path else message))
        if len(self.mistakes) >= MAX_MISTAKES:
            raise BadDefinitions(self.mistakes)
