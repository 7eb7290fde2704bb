"""Parse YAML text into nodes, with bounds on its size."""

import re
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

from signer.definitions.mistakes import BadDefinitions, Mistake, Place
from signer.definitions.syntax_messages import explain_yaml_error

MAX_DEPTH = 32
"""How deeply values may be nested: libyaml's composer is recursive and would overflow the stack."""

_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LINE_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")


def split_lines(text: str) -> list[str]:
    """Return the lines of a text as YAML counts them, without their breaks."""
    return _LINE_BREAK.split(text)


class _TooDeep(yaml.YAMLError):
    def __init__(self, parent: yaml.Node) -> None:
        super().__init__()
        self.mark = parent.start_mark


class _Loader(yaml.CSafeLoader):
    """libyaml's parser, where scalars stay text and a node's tag is empty unless the file has one."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.node_count = 0
        self._depth = 0

    def resolve(self, _kind: Any, _value: Any, _implicit: Any) -> str:
        return ""

    def descend_resolver(self, parent: yaml.Node | None, _index: Any) -> None:
        self.node_count += 1
        self._depth += 1
        # Keys and values each count as a level below their mapping.
        if self._depth > MAX_DEPTH + 2 and parent is not None:
            raise _TooDeep(parent)

    def ascend_resolver(self) -> None:
        self._depth -= 1


@dataclass(frozen=True, slots=True)
class YamlTree:
    """The nodes of one file."""

    name: str
    root: yaml.Node | None
    node_count: int
    """How many nodes the file contains; a node that an alias repeats counts once."""
    text: str
    """The text without trailing blanks."""

    def place(self, node: yaml.Node) -> Place:
        """Return the place of a node."""
        start, end = node.start_mark, node.end_mark
        if start.index == end.index and start.index >= len(self.text):
            # libyaml puts an empty value at the end of a file behind its last line.
            return Place(self.name, len(split_lines(self.text)), 1)
        width = end.column - start.column if end.line == start.line else 1
        return Place(self.name, start.line + 1, start.column + 1, max(width, 1))


def parse_yaml(name: str, text: str) -> YamlTree:
    """Return the nodes of a file, or raise `BadDefinitions` if it is not one document of YAML, or nested too deeply."""
    text = text.removeprefix("\ufeff")
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            return YamlTree(name, root, loader.node_count, text.rstrip())
        finally:
            loader.dispose()
    except _TooDeep as error:
        place = Place(name, error.mark.line + 1, error.mark.column + 1)
        raise BadDefinitions([Mistake(place, f"this is nested deeper than {MAX_DEPTH} levels; nest it less")]) from None
    except yaml.MarkedYAMLError as error:
        (line, column, width), message = explain_yaml_error(error, split_lines(text))
        raise BadDefinitions([Mistake(Place(name, line + 1, column + 1, width), message)]) from None
    except (yaml.YAMLError, ValueError) as error:
        _raise_forbidden_character(name, text, error)


def _raise_forbidden_character(name: str, text: str, error: Exception) -> NoReturn:
    """Raise what is wrong with a text that libyaml refuses before it parses it."""
    found = _FORBIDDEN.search(text)
    if found is None:
        first_line = (str(error).splitlines() or ["it cannot be read"])[0]
        raise BadDefinitions([Mistake(Place(name, 1, 1), f"not valid YAML: {first_line}")]) from None
    code = ord(found[0])
    fix = "if the file is UTF-16, save it as UTF-8" if code == 0 else "delete it"
    before = split_lines(text[: found.start()])
    place = Place(name, len(before), len(before[-1]) + 1)
    raise BadDefinitions([Mistake(place, f"the character U+{code:04X} is not allowed in YAML; {fix}")]) from None
