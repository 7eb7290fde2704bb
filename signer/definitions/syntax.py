"""From YAML text to nodes, or to what keeps it from being YAML in words that an operator can act on."""

from __future__ import annotations

import re
from typing import Any, NoReturn

import yaml

from signer.definitions.masking import lines_of
from signer.definitions.mistakes import BadDefinitions, Mistake, Place
from signer.definitions.syntax_words import in_words

MAX_DEPTH = 32
"""How deep values may be nested; libyaml's composer is recursive, and without a bound crashes the process."""

_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _TooDeep(yaml.YAMLError):
    def __init__(self, parent: yaml.Node) -> None:
        super().__init__()
        self.mark = parent.start_mark


class Loader(yaml.CSafeLoader):
    """libyaml's parser. Scalars stay text; a node's tag is empty unless one was written."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.nodes = 0
        """How many were made; one that an alias repeats counts once."""
        self._depth = 0

    def resolve(self, _kind: Any, _value: Any, _implicit: Any) -> str:
        return ""

    def descend_resolver(self, parent: yaml.Node | None, _index: Any) -> None:
        self.nodes += 1
        self._depth += 1
        # Keys and values each count as a level below their mapping.
        if self._depth > MAX_DEPTH + 2 and parent is not None:
            raise _TooDeep(parent)

    def ascend_resolver(self) -> None:
        self._depth -= 1


def compose(name: str, text: str) -> tuple[yaml.Node | None, int]:
    """The root, and the number of nodes below it. Raises `BadDefinitions`."""
    try:
        loader = Loader(text)
        try:
            return loader.get_single_node(), loader.nodes
        finally:
            loader.dispose()
    except _TooDeep as error:
        place = Place(name, error.mark.line + 1, error.mark.column + 1)
        raise BadDefinitions([Mistake(place, f"nested deeper than {MAX_DEPTH} levels")]) from None
    except yaml.MarkedYAMLError as error:
        (line, column, width), message = in_words(error, [text[start:end] for start, end in lines_of(text)])
        raise BadDefinitions([Mistake(Place(name, line + 1, column + 1, width), message)]) from None
    except (yaml.YAMLError, ValueError) as error:
        _explain_characters(name, text, error)


def _explain_characters(name: str, text: str, error: Exception) -> NoReturn:
    """Raises what is wrong with a text that is refused before any YAML is looked for."""
    found = _FORBIDDEN.search(text)
    if found is None:
        raise BadDefinitions([Mistake(Place(name, 1, 1), f"not valid YAML: {_first_line(error)}")]) from None
    code = ord(found[0])
    mend = "; is the file UTF-16? save it as UTF-8" if code == 0 else "; delete it"
    lines = [line for line in lines_of(text) if line[0] <= found.start()]
    place = Place(name, len(lines), found.start() - lines[-1][0] + 1)
    raise BadDefinitions([Mistake(place, f"the character U+{code:04X} may not stand in YAML{mend}")]) from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["it cannot be read"])[0]
