"""docs/configuration.md, made from the models and their JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel

from signer.definitions import model
from signer.definitions.example import full_example
from signer.definitions.schema import Schema, schema

_HEAD = """\
# Configuration

<!-- Made by `python run.py schema --markdown`; do not edit. -->

Every key that the signer knows. A minimal file:

```yaml
version: 1
credentials:
  uploader: {type: ecs_ram_role}   # the RAM role of this ECS instance
apps:
  wx1234567890abcdef:              # the mini-program's app id
    bucket: photos-prod
    region: cn-shanghai
    credentials: uploader
    rate_limit: {per_caller: 30/m}
```

[A full one](#a-full-example) is at the end. `--config` names a file, a directory or the URL of a store; of a directory,
all `*.yaml` are read together: `credentials` and `apps` may be spread over them, every other key stands in one.

## While you edit

- Editors that know YAML schemas (VS Code with the YAML extension, JetBrains, Neovim) complete and explain every key
  when the first line is `# yaml-language-server: $schema=oss-signer.schema.json`; the schema is in `config/`.
- `check` says all that is wrong, with file, line and column, and the nearest name that exists; `check --json` says it
  to programs. Errors make the exit status 1; what works but is dangerous is a warning.

```sh
python run.py check --config config
python run.py check --config config --json
```

## How values are written

| Kind | Written | |
|---|---|---|
| duration | `90s` `15m` `3h` `1d` `900` | a plain number is seconds |
| size | `512KiB` `10MiB` `5GB` `1048576` | KiB, MiB, GiB count by 1024, KB, MB, GB by 1000; a plain number is bytes |
| rate | `100/s` `30/m` `1000/h` | how many per second, minute, hour or day |
| yes or no | `true` `false` | nothing else: `yes`, `on` and `1` are text |
| text | `photos` `"true"` `"12"` | a number, `true` and `false` need quotes to be text |
| from the environment | `${NAME}` `${NAME:-default}` | anywhere in a text; without a default, it must be set |
| from a file | `${file:PATH}` | its content without blanks at the ends; keep secrets there |

Inside `{ }` and `[ ]`, put `${...}` in quotes. In a callback's `body`, `${...}` are OSS's own variables and left alone.
`${file:$CREDENTIALS_DIRECTORY/NAME}` reads what systemd's `LoadCredential=` put there, for each worker its own.
The YAML is 1.2 and strict: a key stands once, one document a file, no tabs, no tags, no merge keys; nesting at most 32
deep; aliases may add 10,000 values.
"""


def markdown() -> str:
    document = schema()
    defined: dict[str, Schema] = document["$defs"]
    parts = [_HEAD, "\n## The file\n\n", _table(document), "\n## server\n\n", _intro(defined["Server"])]
    parts += [_table(defined["Server"]), "\n## tls\n\n", _intro(defined["Tls"]), _table(defined["Tls"])]
    parts += ["\n## credentials\n\n", _credentials(defined)]
    parts += ["\n## apps and defaults\n\n", _apps(defined)]
    parts += [_section("callers", _kinds(model.CallersEntry), defined)]
    for name, title in (
        ("rate_limit", "RateLimit"),
        ("callback", "Callback"),
        ("notify", "Notify"),
        ("downloads", "Downloads"),
    ):
        entry = defined[title]
        parts += [f"\n## {name}\n\n", _intro(entry), _table(entry)]
    parts += [
        "\n## A full example\n\nEvery key of an app, and every type of credentials.\n\n```yaml\n",
        full_example(),
        "```\n",
    ]
    return "".join(parts)


def _credentials(defined: Mapping[str, Schema]) -> str:
    kinds = _kinds(model.CredentialEntry)
    common = list(defined["DefaultChain"]["properties"])
    common.remove("type")
    lines = ["Each entry is one role, by a name of yours; its token is fetched once for all apps that use it.\n\n"]
    lines += ["| `type` | |\n|---|---|\n"]
    lines += [f"| [`{kind}`](#{kind}) | {defined[name]['description']} |\n" for kind, name in kinds.items()]
    lines += ["\nAll of them have:\n\n", _table(_only(defined["DefaultChain"], common))]
    for kind, name in kinds.items():
        own = ["type", *(key for key in defined[name]["properties"] if key not in (*common, "type"))]
        lines += [f"\n### {kind}\n\n", _intro(defined[name]), _table(_only(defined[name], own))]
    return "".join(lines)


def _apps(defined: Mapping[str, Schema]) -> str:
    """`defaults` has the same keys as an app; what an app must have says the app's model."""
    properties = dict(defined["Defaults"]["properties"])
    required = [name for name, field in model.App.model_fields.items() if field.is_required()]
    lines = [
        "What stands under `defaults` counts for every app that does not say otherwise: a whole key, such as "
        "`rate_limit`, is\ntaken or replaced, not mixed. ",
        " ".join(f"`{name}`" for name in required),
        " must be given in one of the two.\n",
    ]
    headings = list(model.Defaults.headings.items())
    names = list(properties)
    ends = [names.index(first) for first, _ in headings[1:]] + [len(names)]
    for (first, heading), end in zip(headings, ends, strict=True):
        shown = {name: properties[name] for name in names[names.index(first) : end]}
        lines += [f"\n### {heading}\n\n", _table({"properties": shown, "required": required})]
    return "".join(lines)


def _section(title: str, kinds: Mapping[str, str], defined: Mapping[str, Schema]) -> str:
    lines = [f"\n## {title}\n"]
    for kind, name in kinds.items():
        lines += [f"\n### {title}: {kind}\n\n", _intro(defined[name]), _table(defined[name])]
    return "".join(lines)


def _kinds(union: Any) -> dict[str, str]:
    """By `type`, the name of the model."""
    models: tuple[type[BaseModel], ...] = get_args(get_args(union)[0])
    return {get_args(each.model_fields["type"].annotation)[0]: each.__name__ for each in models}


def _intro(entry: Schema) -> str:
    return f"{entry['description']}\n\n"


def _only(entry: Schema, names: list[str]) -> Schema:
    return {**entry, "properties": {name: entry["properties"][name] for name in names}}


def _table(entry: Schema) -> str:
    required = entry.get("required", ())
    lines = ["| Key | Type | Default | Example | Description |\n|---|---|---|---|---|\n"]
    for name, member in entry["properties"].items():
        default = "**required**" if name in required else _default(member)
        cells = (f"`{name}`", _type(name, member), default, _example(member), member["description"])
        lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |\n")
    return "".join(lines)


def _type(name: str, member: Schema) -> str:
    if "const" in member:
        return _code(member["const"])
    if "enum" in member:
        return " ".join(_code(each) for each in member["enum"])
    if "x-unit" in member:
        return f"{member['title']} ({member['x-unit'].partition(';')[0]})"
    if "title" in member:
        return str(member["title"])
    if (
        name
        in (
            "server",
            "tls",
            "defaults",
            "apps",
            "credentials",
            "callers",
            "rate_limit",
            "callback",
            "notify",
            "downloads",
        )
        and "type" not in member
    ):
        return f"[keys](#{'apps-and-defaults' if name == 'defaults' else name})"
    kinds = member.get("type", "object")
    kind = next(each for each in (kinds if isinstance(kinds, list) else [kinds]) if each != "null")
    if kind == "array":
        return f"list of {member['items'].get('title', 'condition')}s"
    if kind == "object":
        inner = member.get("additionalProperties", {})
        inner = inner.get("anyOf", [inner])[0]
        return f"text → {inner.get('title', 'text')}" if inner.get("type") else f"[entries](#{_anchor(name)})"
    return {"string": "text", "boolean": "yes or no", "integer": "number"}[kind]


def _anchor(name: str) -> str:
    return "apps-and-defaults" if name == "apps" else name


def _default(member: Schema) -> str:
    default = member.get("default")
    return "" if default in (None, "", {}, []) else _code(default)


def _example(member: Schema) -> str:
    examples = member.get("examples", [])
    return _code(examples[0]) if examples else ""


def _code(value: Any) -> str:
    return f"`{value if isinstance(value, str) else _flow(value)}`"


def _flow(value: Any) -> str:
    """As it would stand in the YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str) and value not in ("true", "false"):
        return value
    return json.dumps(value)
