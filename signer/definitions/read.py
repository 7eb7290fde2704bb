"""Stage 1, read: parse the YAML text of one file into plain values, and interpolate `${...}`.

Unquoted `true` and `false` are booleans, decimal integers are numbers, and `null`, `~` and an empty value are None.
Everything else, such as `yes`, `0x10` or `1.5`, stays text.
"""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from signer.definitions.interpolation import BadReference, interpolate, reference_values
from signer.definitions.mistakes import MAX_MISTAKES, BadDefinitions, KeyPath, Mistake, Place, format_path
from signer.definitions.odd_characters import INVISIBLE_AT_ENDS, invisible_at_ends
from signer.definitions.redaction import printable_name
from signer.definitions.yaml_syntax import MAX_DEPTH, YamlTree, parse_yaml

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_MAX_ALIAS_VALUES = 10_000
"""The number of values that aliases may add to a file, so that a few lines cannot become millions of values."""
_MAX_INTEGER_CHARACTERS = 19
"""A longer number stays text: no key accepts one, and conversion could be slow."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file as plain values."""

    name: str
    text: str = field(repr=False)
    value: dict[str, Any] = field(repr=False)
    templates: dict[KeyPath, str] = field(repr=False)
    """The text of each value that contains `${...}`, as written."""
    interpolated: dict[str, str] = field(repr=False)
    """The interpolated value of each template, by the template's text."""
    reported: set[KeyPath]
    """Values with a mistake that is already in `mistakes`, so that validation does not report them again."""
    mistakes: list[Mistake]
    invisible_character_warnings: dict[KeyPath, str] = field(default_factory=dict)
    """A warning for each value that lost invisible characters at its ends."""

    def is_current(self, text: str, environ: Mapping[str, str]) -> bool:
        """Return whether this text in this environment gives the same values; False if the file had mistakes."""
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
    """Return the values of one file and the mistakes in them; raise `BadDefinitions` if the file is unusable."""
    tree = parse_yaml(name, text)
    reader = _Reader(tree, environ)
    value = None if tree.root is None else reader.read_node(tree.root, ())
    if tree.root is not None and value is not None and not isinstance(value, dict):
        kind = "a list" if isinstance(value, list) else "a single value"
        message = f"this file contains {kind}; write keys and values, starting with version: 1"
        raise BadDefinitions([*reader.mistakes, Mistake(tree.place(tree.root), message)])
    return SourceFile(
        name,
        text,
        value or {},
        reader.templates,
        reader.interpolated,
        reader.reported,
        reader.mistakes,
        reader.invisible_character_warnings,
    )


class _Reader:
    """Turns nodes into values."""

    def __init__(self, tree: YamlTree, environ: Mapping[str, str]) -> None:
        self.templates: dict[KeyPath, str] = {}
        self.interpolated: dict[str, str] = {}
        self.reported: set[KeyPath] = set()
        self.invisible_character_warnings: dict[KeyPath, str] = {}
        self.mistakes: list[Mistake] = []
        self._tree = tree
        self._environ = environ
        self._values_left = tree.node_count + _MAX_ALIAS_VALUES
        self._section_key: yaml.Node | None = None
        """The top-level key that is being read."""

    def read_node(self, node: yaml.Node, path: KeyPath) -> Any:
        self._values_left -= 1
        if self._values_left < 0:
            limit = f"{_MAX_ALIAS_VALUES:,} values"
            message = (
                f"the aliases (*name) in this section and before it add more than {limit}; use fewer or smaller aliases"
            )
            raise BadDefinitions([Mistake(self._tree.place(self._section_key or node), message)])
        if node.tag:  # only a tag that is written in the file: `parse_yaml` adds none
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            self._report_value(path, node, f"tags are not supported; remove {printable_name(tag)}")
        if isinstance(node, yaml.ScalarNode):
            return self._read_scalar(node, path)
        if len(path) >= MAX_DEPTH:
            message = f"this is nested deeper than {MAX_DEPTH} levels, counting aliases (*name); nest it less"
            self._report_value(path, node, message)
            return None
        if isinstance(node, yaml.MappingNode):
            return self._read_mapping(node, path)
        return [self.read_node(item, (*path, index)) for index, item in enumerate(node.value)]

    def _read_mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        key_nodes: dict[str, yaml.Node] = {}
        for key_node, value_node in node.value:
            self._values_left -= 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._add_mistake(path, key_node, "this key is a list or a mapping; write text")
                continue
            # Thousands of apps repeat the same keys, which share one string.
            key = sys.intern(key_node.value)
            if key_node.tag:
                self._add_mistake((*path, key), key_node, "a key cannot have a tag; remove it")
            if key == "<<":
                message = "merge keys (<<) are not supported; put what apps share under defaults"
                self._add_mistake(path, key_node, message)
            elif key in result:
                message = f"this key is already set at {self._tree.place(key_nodes[key])}; remove one of the two"
                self._add_mistake((*path, key), key_node, message)
            else:
                key_nodes[key] = key_node
                if not path:
                    self._section_key = key_node
                result[key] = self.read_node(value_node, (*path, key))
        return result

    def _read_scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        text: str = node.value
        if not node.style:  # neither quoted nor a block
            if text in {"", "~", "null"}:
                return None
            if text in {"true", "false"}:
                return text == "true"
            if _INTEGER.fullmatch(text):
                return int(text) if len(text) <= _MAX_INTEGER_CHARACTERS else text
        # In the body of a callback, `${...}` are OSS's own variables.
        if "${" not in text or path[-2:] == ("callback", "body"):
            self._warn_of_invisible_ends(path, text)
            return text.strip(INVISIBLE_AT_ENDS)
        self.templates[path] = text
        try:
            self.interpolated[text] = interpolate(text, self._environ)
        except BadReference as error:
            for reference in error.unresolved:
                place = self._part(node, reference.start, reference.end)
                self._report_value(path, place, reference.reason, is_transient=reference.is_transient)
            return ""
        for value in reference_values(text, self._environ):
            self._warn_of_invisible_ends(path, value)
        return self.interpolated[text]

    def _warn_of_invisible_ends(self, path: KeyPath, text: str) -> None:
        if (warning := invisible_at_ends(text)) is not None:
            self.invisible_character_warnings[path] = warning

    def _part(self, node: yaml.ScalarNode, start: int, end: int) -> Place:
        """Return the place of a part of the value, or of the whole value if escapes or line breaks shift columns."""
        whole = self._tree.place(node)
        quote_width = 1 if node.style in ("'", '"') else 0
        if whole.width != len(node.value) + 2 * quote_width:
            return whole
        return Place(whole.file, whole.line, whole.column + quote_width + start, end - start)

    def _report_value(self, path: KeyPath, at: yaml.Node | Place, message: str, *, is_transient: bool = False) -> None:
        self.reported.add(path)
        self._add_mistake(path, at, message, is_transient=is_transient)

    def _add_mistake(self, path: KeyPath, at: yaml.Node | Place, message: str, *, is_transient: bool = False) -> None:
        place = self._tree.place(at) if isinstance(at, yaml.Node) else at
        text = f"{format_path(path)}: {message}" if path else message
        self.mistakes.append(Mistake(place, text, is_transient=is_transient))
        if len(self.mistakes) >= MAX_MISTAKES:
            raise BadDefinitions(self.mistakes)
