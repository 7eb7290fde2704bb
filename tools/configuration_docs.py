"""Generate docs/configuration.md from the models and their JSON Schema: `python -m tools.configuration_docs`.

`python -m tools.configuration_docs zh-CN` generates docs/configuration.zh-CN.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from signer.definitions import caller_model, credential_model, model
from tools.docstrings import require_docstrings
from tools.full_example import full_example
from tools.json_schema import Schema, schema
from tools.languages import CHINESE, Chinese, English, Language

_LANGUAGES: dict[str, type[English] | type[Chinese]] = {"en": English, "zh-CN": Chinese}
_SECTIONS = (
    ("rate_limit", "RateLimit"),
    ("authentication", "AuthenticationLimit"),
    ("callback", "Callback"),
    ("notify", "Notify"),
    ("downloads", "Downloads"),
    ("multipart", "Multipart"),
    ("temporary_credentials", "TemporaryCredentials"),
)
_KEYS_OF_A_SECTION = frozenset({"server", "tls", "defaults", "apps", "credentials", "callers", *dict(_SECTIONS)})
"""The keys whose values have a section of the same name."""


def configuration_page(language: Language) -> str:
    """Return docs/configuration.md, or the page in another language."""
    return "".join(_Page(language).parts())


class _Page:
    def __init__(self, language: Language) -> None:
        self._language = language
        self._words = language.words
        self._document = schema()
        language.describe(self._document)
        self._defined: dict[str, Schema] = self._document["$defs"]

    def parts(self) -> Iterator[str]:
        yield self._language.head()
        yield f"\n## {self._words('The file')}\n\n{self._table(self._document)}"
        yield self._section("server", "Server")
        yield self._section("tls", "Tls")
        yield f"\n## credentials\n\n{self._credentials()}"
        yield f"\n## {self._words('apps and defaults')}\n\n{self._apps()}"
        yield "\n## callers\n"
        for kind, name in _kinds(caller_model.CallersEntry).items():
            entry = self._defined[name]
            # Inherited keys are before a model's own in the schema.
            keys = sorted(entry["properties"], key=lambda key: key not in entry["required"])
            yield f"\n### callers: {kind}\n\n{self._intro_and_table(_only(entry, keys))}"
        for title, name in _SECTIONS:
            yield self._section(title, name)
        yield f"\n## {self._words('A full example')}\n\n"
        yield self._words("All keys of an app and all types of credentials.")
        yield f"\n\n```yaml\n{full_example(self._words)}```\n"

    def _section(self, title: str, name: str) -> str:
        return f"\n## {title}\n\n{self._intro_and_table(self._defined[name])}"

    def _intro_and_table(self, entry: Schema) -> str:
        return f"{entry['description']}\n\n{self._table(entry)}"

    def _credentials(self) -> str:
        kinds = _kinds(credential_model.CredentialEntry)
        common = list(self._defined["DefaultChain"]["properties"])
        common.remove("type")
        intro = self._words(
            "Each entry is a source of tokens, by a name of your choice. Apps with the same entry share its token."
        )
        lines = [f"{intro}\n\n", "| `type` | |\n|---|---|\n"]
        lines += [f"| [`{kind}`](#{kind}) | {self._defined[name]['description']} |\n" for kind, name in kinds.items()]
        lines += [f"\n{self._words('All types have:')}\n\n", self._table(_only(self._defined["DefaultChain"], common))]
        for kind, name in kinds.items():
            entry = self._defined[name]
            own = ["type", *(key for key in entry["properties"] if key not in (*common, "type"))]
            lines += [f"\n### {kind}\n\n", self._intro_and_table(_only(entry, own))]
        return "".join(lines)

    def _apps(self) -> str:
        """Return the tables of an app's keys; `defaults` has the same keys, and the model of an app the required ones."""
        properties = dict(self._defined["Defaults"]["properties"])
        required = [name for name, field in model.AppEntry.model_fields.items() if field.is_required()]
        intro = self._words(
            "An app inherits every key of `defaults` that it does not have itself. A key such as `rate_limit` is "
            "inherited or replaced as a whole. {required} are required in one of the two."
        )
        lines = [intro.format(required=self._words(", ").join(f"`{name}`" for name in required)), "\n"]
        headings = list(model.Defaults.headings.items())
        names = list(properties)
        ends = [names.index(first) for first, _ in headings[1:]] + [len(names)]
        for (first, heading), end in zip(headings, ends, strict=True):
            shown = {name: properties[name] for name in names[names.index(first) : end]}
            table = self._table({"properties": shown, "required": required})
            lines += [f"\n### {self._words(heading)}\n\n", table]
        return "".join(lines)

    def _table(self, entry: Schema) -> str:
        required = entry.get("required", ())
        lines = [self._words("| Key | Type | Default | Example | Description |"), "\n|---|---|---|---|---|\n"]
        for name, member in entry["properties"].items():
            default = self._words("**required**") if name in required else _default(member)
            cells = (f"`{name}`", self._type(name, member), default, _example(member), member["description"])
            escaped = (cell.replace("|", "\\|") for cell in cells)
            lines.append(f"| {' | '.join(escaped)} |\n")
        return "".join(lines)

    def _type(self, name: str, member: Schema) -> str:
        if "const" in member:
            return _code(member["const"])
        if "enum" in member:
            return " ".join(_code(each) for each in member["enum"])
        if "x-unit" in member:
            return self._words(f"{member['title']} ({member['x-unit'].partition(';')[0]})")
        if "title" in member:
            return self._words(str(member["title"]))
        if name in _KEYS_OF_A_SECTION and "type" not in member:
            return f"[{self._words('keys')}](#{self._anchor(name)})"
        kinds = member.get("type", "object")
        kind = next(each for each in (kinds if isinstance(kinds, list) else [kinds]) if each != "null")
        if kind == "array":
            item = member["items"].get("title", "condition")
            return self._words(f"list of {item}{'es' if item.endswith('x') else 's'}")
        if kind == "object":
            inner = member.get("additionalProperties", {})
            inner = inner.get("anyOf", [inner])[0]
            if inner.get("type"):
                return self._words(f"text → {inner.get('title', 'text')}")
            return f"[{self._words('entries')}](#{self._anchor(name)})"
        return self._words({"string": "text", "boolean": "boolean", "integer": "number"}[kind])

    def _anchor(self, name: str) -> str:
        return self._words("apps and defaults").replace(" ", "-") if name in ("apps", "defaults") else name


def _kinds(union: Any) -> dict[str, str]:
    """Return the name of each model of a union, by its `type`."""
    models: tuple[type[BaseModel], ...] = get_args(get_args(union)[0])
    return {get_args(each.model_fields["type"].annotation)[0]: each.__name__ for each in models}


def _only(entry: Schema, names: list[str]) -> Schema:
    return {**entry, "properties": {name: entry["properties"][name] for name in names}}


def _default(member: Schema) -> str:
    default = member.get("default")
    return "" if default in (None, "", {}, []) else _code(default)


def _example(member: Schema) -> str:
    examples = member.get("examples", [])
    return _code(examples[0]) if examples else ""


def _code(value: Any) -> str:
    return f"`{value if isinstance(value, str) else _flow(value)}`"


def _flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str) and value not in ("true", "false"):
        return value
    return json.dumps(value)


def main(language_name: str = "en") -> int:
    """Print the page, and which texts of the language are missing or outdated."""
    language = _LANGUAGES[language_name]()
    sys.stdout.write(configuration_page(language))
    mistakes = list(language.mistakes()) if isinstance(language, Chinese) else []
    sys.stderr.writelines(f"tools/{CHINESE.name}: {mistake}\n" for mistake in mistakes)
    return 1 if mistakes else 0


if __name__ == "__main__":
    require_docstrings()
    sys.exit(main(*sys.argv[1:]))
