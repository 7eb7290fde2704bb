"""Resolve the paths of violations to places in the files, which is done last."""

from collections.abc import Iterable

import yaml

from signer.definitions.excerpt import add_excerpts
from signer.definitions.merge import MERGED_SECTIONS, Document
from signer.definitions.mistakes import RELATED_PLACE, KeyPath, Mistake, Place, Violation, format_path, sort_mistakes
from signer.definitions.read import SourceFile
from signer.definitions.yaml_syntax import MAX_DEPTH, YamlTree, parse_yaml


def locate(violations: Iterable[Violation], document: Document) -> list[Mistake]:
    """Return the violations as mistakes with places and excerpts, in the order of the files."""
    places = _Places(document)
    mistakes = sort_mistakes(places.locate(violation) for violation in violations)
    return add_excerpts(mistakes, {file.name: file.text for file in document.files})


class _Places:
    """The places of a document's values; each file is parsed again when a place in it is needed.

    The places of all values would take ten times the memory of the values, so they are not kept.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._files = {file.name: file for file in document.files}
        self._places: dict[str, _FilePlaces] = {}

    def locate(self, violation: Violation) -> Mistake:
        message = violation.message
        if (related := violation.related) is not None:
            # A whole entry or app is shown by its name.
            is_entry = len(related) == 2 and related[0] in MERGED_SECTIONS
            place = self._place(self._document.owner(related), related, at_key=violation.at_key or is_entry)
            message = message.replace(RELATED_PLACE, str(place))
        path = violation.shown_at or violation.path
        file = self._document.owner(path) if violation.file is None else self._files[violation.file]
        subject = f"{format_path(violation.path)}: " if violation.path else ""
        place = self._place(file, path, at_key=violation.at_key)
        return Mistake(place, f"{subject}{message}", is_transient=violation.is_transient)

    def _place(self, file: SourceFile, path: KeyPath, *, at_key: bool) -> Place:
        if file.name not in self._places:
            self._places[file.name] = _FilePlaces(parse_yaml(file.name, file.text))
        return self._places[file.name].of(path, at_key=at_key)


class _FilePlaces:
    """The places of all keys and values of one file."""

    def __init__(self, tree: YamlTree) -> None:
        self._tree = tree
        self._values: dict[KeyPath, Place] = {(): Place(tree.name, 1, 1)}
        self._keys: dict[KeyPath, Place] = {}
        if tree.root is not None:
            self._collect(tree.root, ())

    def of(self, path: KeyPath, *, at_key: bool) -> Place:
        """Return the place of a value or of its key; where the file has neither, of the nearest key above."""
        if path in self._values and not (at_key and path in self._keys):
            return self._values[path]
        while path and path not in self._keys:
            path = path[:-1]
        return self._keys.get(path, self._values[()])

    def _collect(self, node: yaml.Node, path: KeyPath) -> None:
        self._values[path] = self._tree.place(node)
        if isinstance(node, yaml.ScalarNode) or len(path) >= MAX_DEPTH:
            return
        if not isinstance(node, yaml.MappingNode):
            for index, item in enumerate(node.value):
                self._collect(item, (*path, index))
            return
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or (*path, key_node.value) in self._keys:
                continue
            below = (*path, key_node.value)
            self._keys[below] = self._tree.place(key_node)
            self._collect(value_node, below)
            if value_node.start_mark.index == value_node.end_mark.index:
                # An empty value has no place of its own.
                self._values[below] = self._keys[below]
