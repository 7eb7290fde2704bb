"""What libyaml found wrong, in words that say where it really went wrong and how to mend it."""

from __future__ import annotations

import re
import unicodedata

import yaml

Spot = tuple[int, int, int]
"""Line and column, from 0, and width."""

_WIDE = {
    "：": ("colon", "a : and a space"),
    "，": ("comma", "a , and a space"),
    "“": ("quote", 'plain "quotes"'),
    "‘": ("quote", "plain 'quotes'"),
    "－": ("hyphen", "a - and a space"),
}
"""What Chinese input methods type where YAML wants its own sign: its name, and what to write instead."""
_WIDE_SIGN = re.compile(r"(?<=[A-Za-z0-9_])：|^\s*－|(?<=: )[“‘]|(?<=[A-Za-z0-9}\]])，(?= *[A-Za-z_]+:)")
_INDENT = re.compile("[ \t\xa0\u2000-\u200b\u3000\ufeff]*")
_SECOND_DOCUMENT = "a second document starts here, and a file holds one: take the --- out, or use a file for each"
_NO_COLON = "a key needs a colon and a space behind it, like name: value"
_MISPLACED = "its indentation fits nothing above; line it up with what it belongs to"


def explain_yaml_error(error: yaml.MarkedYAMLError, lines: list[str]) -> tuple[Spot, str]:
    """Where it went wrong, which is often before the place where libyaml noticed, and what to do."""
    noticed = _spot(error.problem_mark or error.context_mark, lines)
    began = _spot(error.context_mark, lines) if error.context_mark else noticed
    typed = _odd_character(noticed[0], lines) or _odd_character(began[0], lines)
    return typed or _by_problem(str(error.problem or error.context), str(error.context), noticed, began, lines)


def _odd_character(number: int, lines: list[str]) -> tuple[Spot, str] | None:
    """Signs of another keyboard, and indentation that is none: on a line, or on the one above it."""
    for row in (number, number - 1):
        line = lines[row] if row >= 0 else ""
        hidden = next((at for at, character in enumerate(line) if unicodedata.category(character) == "Cf"), None)
        if hidden is not None and row == number:
            return (row, hidden, 1), f"the invisible character U+{ord(line[hidden]):04X} stands here; delete it"
        indent = _INDENT.match(line)
        odd = "" if indent is None else indent[0].lstrip(" ")
        if odd and row == number:
            kind = "tabs" if odd[0] == "\t" else f"U+{ord(odd[0]):04X}, which only looks like a space"
            return (row, len(line) - len(line.lstrip(" ")), 1), f"indent with plain spaces, not with {kind}"
        sign = _WIDE_SIGN.search(line.partition(" #")[0])
        if sign is not None:
            name, mend = _WIDE[sign[0].strip()]
            return (row, sign.end() - 1, 1), f"this is a full-width {name}; write {mend}"
    return None


def _by_problem(problem: str, context: str, noticed: Spot, began: Spot, lines: list[str]) -> tuple[Spot, str]:
    line = lines[noticed[0]]
    before, at = line[: noticed[1]], line[noticed[1] : noticed[1] + 1]
    first = lines[began[0]][began[1] : began[1] + 1]
    if "another document" in problem or "<document start>" in problem:
        return _all_of(noticed, lines), _SECOND_DOCUMENT
    if "cannot start any token" in problem:
        return noticed, f"a value cannot start with '{at}' unless it is in quotes"
    if "tab character" in problem:
        return noticed, "indent with plain spaces, not with tabs"
    if "undefined alias" in problem or context in ("while scanning an alias", "while scanning an anchor"):
        what = "is an alias, and nothing above has its name" if first == "*" else "is marked for an alias"
        return began, f"to YAML, a value that starts with {first} {what}; in quotes it is text"
    if context == "while scanning a quoted scalar":
        return began, "this quote is never closed"
    if "unknown escape character" in problem:
        return noticed, "in double quotes \\ starts an escape; write \\\\ or use single quotes"
    if "did not find expected ',' or" in problem:
        return _in_brackets(noticed, began, lines)
    if "could not find expected ':'" in problem:
        return _all_of(began, lines), _NO_COLON
    if "mapping values are not allowed" in problem:
        if re.search(r":\s", before):
            return noticed, "a second colon on this line; if it belongs to the value, put the value in quotes"
        return _key_out_of_place(noticed, lines)
    if "block sequence entries are not allowed" in problem:
        return noticed, "a list item cannot stand behind its key; put it on the next line, or write the list as [a, b]"
    if "did not find expected key" in problem or "did not find expected '-' indicator" in problem:
        return _after_a_value(before, at, noticed) if before.strip() else (_all_of(noticed, lines), _MISPLACED)
    if "did not find expected node content" in problem:
        if at in ("", "]", "}"):
            return noticed, "a value is missing here, or the brackets do not match"
        return noticed, f"a value cannot start with '{at}' unless it is in quotes"
    if "comment or line break" in problem:
        return noticed, "the text behind | or > starts on the next line"
    return noticed, f"not valid YAML: {problem}"


def _key_out_of_place(noticed: Spot, lines: list[str]) -> tuple[Spot, str]:
    """A key that libyaml took for a part of the value above it."""
    above = next((row for row in range(noticed[0] - 1, -1, -1) if lines[row].strip()), noticed[0])
    if not re.search(r":(?:\s|$)", lines[above]):
        colon = re.match(r"\s*[\w.-]+(:)\S", lines[above])
        if colon is not None:
            return (above, colon.start(1), 1), "a space is missing behind this colon"
        return _all_of((above, 0, 1), lines), _NO_COLON
    return _all_of(noticed, lines), (
        "a key cannot stand here: it is indented deeper than those it belongs to, or the line above has a value already"
    )


def _in_brackets(noticed: Spot, began: Spot, lines: list[str]) -> tuple[Spot, str]:
    row, column, _ = noticed
    if column and lines[row][column - 1 : column + 1] == "${":
        return (row, column - 1, 2), "inside { } and [ ], put ${...} in quotes"
    if row == began[0] and lines[row][column:].strip():
        return noticed, "a comma or the closing bracket is missing before this"
    bracket = lines[began[0]][began[1] : began[1] + 1]
    return began, f"this {bracket} is never closed, or a comma is missing behind it"


def _after_a_value(before: str, at: str, noticed: Spot) -> tuple[Spot, str]:
    if at in ("]", "}"):
        return noticed, f"this {at} closes nothing"
    if (opened := re.search(r":\s+(\{)[^{}]*\}$", before)) is not None:
        return (noticed[0], opened.start(1), noticed[1] - opened.start(1)), (
            "to YAML, a value that starts with { is keys and values; in quotes it is text"
        )
    if "'" in before:
        return noticed, "the value ended before this; inside single quotes write '' for a '"
    return noticed, "the value ended before this; put the whole value in quotes"


def _spot(mark: yaml.Mark | None, lines: list[str]) -> Spot:
    """A mark at the end of a text is moved back to the last line that says something."""
    if mark is None:
        return 0, 0, 1
    line, column = mark.line, mark.column
    while line >= len(lines) or (line > 0 and not lines[line]):
        line -= 1
        column = len(lines[line].rstrip()) if line < len(lines) else 0
    return line, column, 1


def _all_of(spot: Spot, lines: list[str]) -> Spot:
    line = lines[spot[0]]
    return spot[0], len(line) - len(line.lstrip()), max(len(line.strip()), 1)
