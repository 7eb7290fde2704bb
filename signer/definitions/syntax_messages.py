"""What libyaml found wrong, described with the real place of the mistake and the fix."""

import re
import unicodedata

import yaml

Span = tuple[int, int, int]
"""Line and column, from 0, and width."""

_FULL_WIDTH = {
    "：": ("colon", "a : and a space"),
    "，": ("comma", "a , and a space"),
    "“": ("quote", 'plain "quotes"'),
    "‘": ("quote", "plain 'quotes'"),
    "－": ("hyphen", "a - and a space"),
}
"""Signs that Chinese input methods type where YAML needs an ASCII one: the name, and what to write instead."""

_FULL_WIDTH_SIGN = re.compile(r"(?<=[A-Za-z0-9_])：|^\s*－|(?<=: )[“‘]|(?<=[A-Za-z0-9}\]])，(?= *[A-Za-z_]+:)")
_INDENTATION = re.compile("[ \t\xa0\u2000-\u200b\u3000\ufeff]*")
_NO_COLON = "this key has no colon; write a colon and a space after it, like name: value"
_TABS = "this line is indented with tabs; indent it with spaces"
_NOT_A_START = "a value cannot start with {at}; put it in quotes"

_AT_THE_PROBLEM = {
    "cannot start any token": _NOT_A_START,
    "tab character": _TABS,
    "unknown escape character": "unknown escape with \\ in double quotes; write \\\\ or use single quotes",
    "block sequence entries are not allowed": "a list item cannot follow its key on one line; write the list as [a, b]",
    "comment or line break": "text cannot follow | or > on the same line; start it on the next line",
}
"""What to print at the place that libyaml reports, by a part of its message."""


def explain_yaml_error(error: yaml.MarkedYAMLError, lines: list[str]) -> tuple[Span, str]:
    """Return where the mistake is, which is often before the place that libyaml reports, and how to fix it."""
    reported = _span(error.problem_mark or error.context_mark, lines)
    start = _span(error.context_mark, lines) if error.context_mark else reported
    typed = _odd_character(reported[0], lines) or _odd_character(start[0], lines)
    return typed or _by_problem(str(error.problem or error.context), str(error.context), reported, start, lines)


def _odd_character(number: int, lines: list[str]) -> tuple[Span, str] | None:
    """Find full-width signs, invisible characters and false indentation on a line, or full-width signs above it."""
    for row in (number, number - 1):
        line = lines[row] if row >= 0 else ""
        hidden = next((at for at, character in enumerate(line) if unicodedata.category(character) == "Cf"), None)
        if hidden is not None and row == number:
            return (row, hidden, 1), f"the invisible character U+{ord(line[hidden]):04X} is here; delete it"
        indentation = _INDENTATION.match(line)
        odd = "" if indentation is None else indentation[0].lstrip(" ")
        if odd and row == number:
            like_space = f"this line is indented with U+{ord(odd[0]):04X}, which only looks like a space; use spaces"
            return (row, len(line) - len(line.lstrip(" ")), 1), _TABS if odd[0] == "\t" else like_space
        sign = _FULL_WIDTH_SIGN.search(line.partition(" #")[0])
        if sign is not None:
            name, replacement = _FULL_WIDTH[sign[0].strip()]
            return (row, sign.end() - 1, 1), f"this is a full-width {name}; write {replacement}"
    return None


def _by_problem(problem: str, context: str, reported: Span, start: Span, lines: list[str]) -> tuple[Span, str]:
    line = lines[reported[0]]
    before, at = line[: reported[1]], line[reported[1] : reported[1] + 1]
    for part, message in _AT_THE_PROBLEM.items():
        if part in problem:
            return reported, message.replace("{at}", at)
    if "another document" in problem or "<document start>" in problem:
        message = "a second document starts here; remove the --- or use one file for each document"
        return _whole_line(reported, lines), message
    if "undefined alias" in problem or context in ("while scanning an alias", "while scanning an anchor"):
        first = lines[start[0]][start[1] : start[1] + 1]
        kind = "an alias, and no anchor above has its name" if first == "*" else "an anchor"
        return start, f"in YAML, a value that starts with {first} is {kind}; to write text, put it in quotes"
    if context == "while scanning a quoted scalar":
        return start, "this quote is never closed; add the closing quote"
    if "did not find expected ',' or" in problem:
        return _in_brackets(reported, start, lines)
    if "could not find expected ':'" in problem:
        return _whole_line(start, lines), _NO_COLON
    if "mapping values are not allowed" in problem:
        if re.search(r":\s", before):
            return reported, "there is a second colon on this line; if it belongs to the value, put the value in quotes"
        return _misplaced_key(reported, lines)
    if "did not find expected key" in problem or "did not find expected '-' indicator" in problem:
        if before.strip():
            return _after_a_value(before, at, reported)
        message = "this indentation matches no key above; align the line with the keys it belongs to"
        return _whole_line(reported, lines), message
    if "did not find expected node content" in problem:
        if at in ("", "]", "}"):
            return reported, "a value is missing here, or the brackets do not match; complete the line"
        return reported, _NOT_A_START.replace("{at}", at)
    return reported, f"not valid YAML: {problem}"


def _misplaced_key(reported: Span, lines: list[str]) -> tuple[Span, str]:
    """Explain a key that libyaml read as part of the value above it."""
    above = next((row for row in range(reported[0] - 1, -1, -1) if lines[row].strip()), reported[0])
    if not re.search(r":(?:\s|$)", lines[above]):
        colon = re.match(r"\s*[\w.-]+(:)\S", lines[above])
        if colon is not None:
            return (above, colon.start(1), 1), "a space is missing after this colon; add it"
        return _whole_line((above, 0, 1), lines), _NO_COLON
    return _whole_line(reported, lines), (
        "a key cannot be here: it is indented deeper than the keys it belongs to, or the line above already has a "
        "value; align it with those keys"
    )


def _in_brackets(reported: Span, start: Span, lines: list[str]) -> tuple[Span, str]:
    row, column, _ = reported
    if column and lines[row][column - 1 : column + 1] == "${":
        return (row, column - 1, 2), "${...} inside { } or [ ] has no quotes; put it in quotes"
    if row == start[0] and lines[row][column:].strip():
        return reported, "a comma or the closing bracket is missing before this; add it"
    bracket = lines[start[0]][start[1] : start[1] + 1]
    return start, f"this {bracket} is never closed, or a comma is missing after it; add what is missing"


def _after_a_value(before: str, at: str, reported: Span) -> tuple[Span, str]:
    if at in ("]", "}"):
        return reported, f"this {at} closes nothing; delete it"
    if (opened := re.search(r":\s+(\{)[^{}]*\}$", before)) is not None:
        return (reported[0], opened.start(1), reported[1] - opened.start(1)), (
            "in YAML, a value that starts with { is keys and values; to write text, put it in quotes"
        )
    if "'" in before:
        return reported, "the value ends before this; to write a ' inside single quotes, double it: ''"
    return reported, "the value ends before this; put the whole value in quotes"


def _span(mark: yaml.Mark | None, lines: list[str]) -> Span:
    """Return the place of a mark; one at the end of the text is moved back to the last line that is not empty."""
    if mark is None:
        return 0, 0, 1
    line, column = mark.line, mark.column
    while line >= len(lines) or (line > 0 and not lines[line]):
        line -= 1
        column = len(lines[line].rstrip()) if line < len(lines) else 0
    return line, column, 1


def _whole_line(span: Span, lines: list[str]) -> Span:
    line = lines[span[0]]
    return span[0], len(line) - len(line.lstrip()), max(len(line.strip()), 1)
