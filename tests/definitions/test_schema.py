"""The JSON Schema and docs/configuration.md match the models, and the schema agrees with the parser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from signer.cli import main
from signer.definitions.mistakes import BadDefinitions
from signer.definitions.parser import parse
from tests.harness.processes import ROOT
from tests.harness.signer import LOCAL_ENVIRON
from tools.configuration_docs import configuration_page
from tools.full_example import full_example
from tools.json_schema import json_schema
from tools.languages import English

HERE = Path(__file__).parent
SHIPPED = ROOT / "config/oss-signer.schema.json"
EXAMPLE = ROOT / "config/oss-signer.yaml"
REFERENCE = ROOT / "docs/configuration.md"


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["schema"]) == 0
    return capsys.readouterr().out


@cache
def validator() -> jsonschema.Draft202012Validator:
    schema = json.loads(SHIPPED.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def schema_errors(text: str) -> list[str]:
    """Return the errors of an editor that reads YAML 1.2."""
    document = _with_text_keys(yaml.load(text, Loader=_Strict))
    return [error.message for error in validator().iter_errors(document)]


def _with_text_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _with_text_keys(each) for key, each in value.items()}
    return [_with_text_keys(each) for each in value] if isinstance(value, list) else value


class _Strict(yaml.SafeLoader):
    """YAML 1.2's scalars, as editors read them."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


_Strict.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|false"), list("tf"))
_Strict.add_implicit_resolver("tag:yaml.org,2002:int", re.compile("-?(0|[1-9][0-9]*)$"), list("-0123456789"))
_Strict.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"-?[0-9]+\.[0-9]+$"), list("-0123456789"))
_Strict.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("~|null|$"), ["~", "n", ""])


def test_generated_files_are_current(capsys: pytest.CaptureFixture[str]) -> None:
    """After a change of the models or the example, run `make docs`."""
    assert printed(capsys) == SHIPPED.read_text(encoding="utf-8") == json_schema()
    assert configuration_page(English()) == REFERENCE.read_text(encoding="utf-8")
    assert (ROOT / "signer/demo/oss-signer.yaml").read_bytes() == EXAMPLE.read_bytes()


def valid_texts() -> Iterator[Any]:
    for document in [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").glob("*.md"))]:
        found = re.findall(r"^```yaml\n(.*?)^```$", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        blocks = [block for block in found if "version:" in block]  # others are parts
        yield from (pytest.param(text, id=f"{document.name}-{n}") for n, text in enumerate(blocks, 1))
    for file in [EXAMPLE, *sorted((HERE / "warned").glob("*.yaml"))]:
        yield pytest.param(file.read_text(encoding="utf-8"), id=file.name)
    yield pytest.param(full_example(), id="full-example")


@pytest.mark.parametrize("text", list(valid_texts()))
def test_valid_definitions_match_the_schema(text: str) -> None:
    assert parse({"a.yaml": text}, {**LOCAL_ENVIRON, "WECHAT_SECRET": "w" * 32}).apps
    assert schema_errors(text) == []


NOT_SEEN_BY_A_SCHEMA = {
    # Mistakes in several values together, or with the environment.
    "prefix-missing", "api-key-of-an-example", "byte-limits-below-min-size", "byte-limits-inherited",
    "byte-limits-of-reusable-forms", "byte-limits-with-temporary-credentials",
    "absolute-prefix", "assume-role-without-key", "bad-condition", "bad-reference", "caller-with-open",
    "caller-in-a-segment", "caller-without-slash", "climbing-prefix", "dollar-in-header", "dollar-in-prefix",
    "domain-accelerate-of-another-bucket", "domain-accelerate-without-bucket", "domain-dual-stack-of-another-region",
    "domain-of-another-bucket", "domain-of-s3", "encryption-with-hyphen", "header-not-in-forms", "header-tagging",
    "condition-on-tagging", "domain-of-another-region", "domain-without-bucket", "expires-beyond-the-token", "filename-in-prefix",
    "header-not-a-field", "header-twice", "health-at-listen", "listen-twice", "min-above-max", "min-remaining-too-long",
    "admin-for-everybody", "admin-token-short", "secret-short", "multipart-without-secret", "downloads-limits", "deletes",
    "misspelt-credentials", "missing-bucket", "missing-secret-file", "reference-not-closed", "reference-to-a-device",
    "reference-to-a-directory", "reserved-header", "role-duration-long", "role-duration-short", "secret-by-alias",
    "session-policy-too-long", "several-bad-references", "source-and-key", "source-circle", "sources-too-many",
    "timeout-zero", "too-large-size", "too-long-expires", "unknown-credentials", "unknown-default-app",
    "unknown-placeholder", "unknown-source", "unset-variable", "app-without-anything", "oidc-incomplete",
    "callback-timeout", "fetch-rate-above-the-account", "notify-without-etag", "notify-without-queue", "domain-port",
    "listen-port-too-high", "webhook-secret-not-base64", "webhook-secret-short",
    "temporary-credentials-caller-not-first", "temporary-credentials-duration", "temporary-credentials-of-an-ecs-role",
    "temporary-credentials-policy-too-long", "temporary-credentials-rate", "temporary-credentials-wildcard-in-prefix",
    "temporary-credentials-with-open-callers", "temporary-credentials-shorter-than-downloads",
    # Mistakes of YAML itself, which an editor reports without a schema.
    "duplicate-app", "duplicate-key", "tag", "template-without-quotes",
    # To JSON Schema, 1.0 is 1.
    "float-version",
    "two-code-logins", "alipay-key",
}  # fmt: skip


@pytest.mark.parametrize("file", sorted((HERE / "invalid").glob("*.yaml")), ids=lambda file: file.stem)
def test_the_schema_rejects_what_it_can_see(file: Path) -> None:
    """The schema rejects each file in `invalid/`, except those listed above."""
    try:
        output = schema_errors(file.read_bytes().decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        return
    assert bool(output) != (file.stem in NOT_SEEN_BY_A_SCHEMA), output


def members(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, each in [*schema["$defs"].items(), ("the file", schema)]:
        yield from ((f"{name}.{key}", member) for key, member in each["properties"].items())


def test_every_key_is_described_with_its_unit_and_an_example() -> None:
    schema = json.loads(SHIPPED.read_text(encoding="utf-8"))
    for name, member in members(schema):
        assert len(member["description"]) > 5, name
        refers = {"$ref", "anyOf", "oneOf"} & member.keys() or isinstance(member.get("additionalProperties"), dict)
        known_values = member.keys() & {"const", "enum"} or member.get("type") == "boolean"
        assert member.get("examples") or refers or known_values, name
        if member.get("title") in ("duration", "size"):
            assert "a plain number is" in member["description"], name
            assert member["pattern"], name
            assert not str(member.get("default", "")).startswith("PT"), name


def test_examples_match_the_schema() -> None:
    schema = json.loads(SHIPPED.read_text(encoding="utf-8"))
    for name, member in members(schema):
        for example in [*member.get("examples", ()), *([member["default"]] if "default" in member else [])]:
            inner = {**{key: value for key, value in member.items() if key != "$defs"}, "$defs": schema["$defs"]}
            assert list(jsonschema.Draft202012Validator(inner).iter_errors(example)) == [], (name, example)


def test_the_page_names_every_key() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    for name, _ in members(json.loads(SHIPPED.read_text(encoding="utf-8"))):
        assert f"| `{name.rpartition('.')[2]}` |" in text, name


def test_the_full_example_has_every_key_of_an_app_and_every_type_of_credentials() -> None:
    schema = json.loads(SHIPPED.read_text(encoding="utf-8"))
    example = yaml.safe_load(full_example())
    assert set(example["apps"]["wx1234567890abcdef"]) == set(schema["$defs"]["AppEntry"]["properties"])
    kinds = {entry["type"] for entry in example["credentials"].values()}
    assert kinds == set(schema["properties"]["credentials"]["additionalProperties"]["discriminator"]["mapping"])


def test_the_example_names_the_schema_for_editors() -> None:
    first, _, _ = EXAMPLE.read_text(encoding="utf-8").partition("\n")
    assert first == f"# yaml-language-server: $schema={SHIPPED.name}"


@pytest.mark.parametrize(
    "app",
    [
        "max_size: 10M",
        "max_size: 1.5GiB",
        "max_size: 0644",
        "min_size: -1",
        "expires: 15min",
        "expires: 1:30",
        "expires: 007",
        "success_status: 202",
        "rate_limit: {per_app: 100}",
        "rate_limit: {per_app: 0/s}",
        "enabled: yes",
        "callers: {type: opne}",
        "callers: {}",
        "callback: {url: 'https://a.example.com', body: a, body_type: json}",
        "headers: {x-oss-object-acl: public}",
        "headers: {x-oss-storage-class: standard}",
        "headers: {x-oss-forbid-overwrite: true}",
        "region: oss-cn-hangzhou",
        "bucket: Photos",
        "domain: upload.example.com",
        "cors_origins: ['https://a.example.com/']",
        "content_types: [jpeg]",
        "zzz: 1",
    ],
)
def test_parser_and_schema_reject_the_same(app: str) -> None:
    rest = {"bucket": "photos", "key_prefix": "p/", "region": "cn-hangzhou", "credentials": "r"}
    rest.pop(app.partition(":")[0], None)
    written = ", ".join([app, *(f"{key}: {value}" for key, value in rest.items())])
    text = f"version: 1\ncredentials: {{r: {{type: ecs_ram_role}}}}\napps: {{a: {{{written}}}}}\n"
    with pytest.raises(BadDefinitions):
        parse({"a.yaml": text}, {})
    assert schema_errors(text)
