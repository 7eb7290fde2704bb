"""Definitions with a distinct secret in every key of the models that can contain one, and a search for them."""

from __future__ import annotations

import copy
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from functools import cache
from itertools import count
from typing import Any, get_args
from urllib.parse import quote

import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import BaseModel, SecretStr, ValidationError

from signer.definitions import model
from signer.definitions.caller_model import CallersEntry
from signer.definitions.credential_model import CredentialEntry, StrictModel
from tools.json_schema import schema

MARKER = "plantedhunter+"
"""The beginning of every secret; only its key shows that it is one."""
NOWHERE = "http://127.0.0.1:1"
_OTHER_LOGINS = ("alipay", "douyin")
"""An app has one type of callers that takes login codes; lists have wechat."""
_BASE = {"type": "static", "access_key_id": "LTAI-x"}


def secret(number: int) -> str:
    """Return a secret that differs from all others and has characters that URLs escape."""
    return f"{MARKER}{chr(97 + number // 26)}{chr(97 + number % 26)}/which is long enough for every key="


@cache
def private_key() -> str:
    """Return a private key as Alipay's key tool writes it: a secret that must be valid, so it has no marker."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()


def leaks(text: str) -> list[str]:
    """Return what a text shows of secrets, plain, in Base64 or escaped for a URL."""
    # The first characters are the same in every key.
    pieces = (private_key()[at : at + 24] for at in range(48, len(private_key()) - 24, 24))
    return [form for form in (*_FORMS, *pieces) if form in text]


def _forms() -> Iterator[str]:
    yield MARKER
    yield quote(MARKER, safe="")
    for encode in (b64encode, urlsafe_b64encode):
        for lead in range(3):
            # The first and last characters depend on what is around it.
            encoded = encode(b"." * lead + MARKER.encode()).decode().rstrip("=")
            yield encoded[lead + 1 : -2]


_FORMS = tuple(dict.fromkeys(_forms()))


class Planter:
    """Builds values of models with secrets in them."""

    def __init__(self, *, first: int = 0) -> None:
        self.planted: dict[str, str] = {}
        """Each secret by the name of its variable."""
        self.fields: set[tuple[str, str]] = set()
        """The keys that have a secret, with the name of their model."""
        self._numbers = count(first)

    def value(self, name: str) -> str:
        """Return a new secret; in the address of a service, it is the password."""
        number = next(self._numbers)
        text = secret(number)
        if name == "private_key":
            text = private_key()
        if name == "limits":
            text = f"redis://:{quote(text, safe='')}@127.0.0.1:1/0"
        if name == "callback_queue":
            text = f"redis+sentinel://127.0.0.1:1/main/0?sentinel_password={quote(text, safe='')}"
        self.planted[f"PLANTED_{number}"] = text
        return text

    def mapping(self, entry: type[StrictModel]) -> dict[str, Any]:
        """Return the keys of a model that are required or contain secrets, and if possible those of its example."""
        properties = _schemas()[entry.__name__]["properties"]
        result: dict[str, Any] = {}
        for name, field in entry.model_fields.items():
            if SecretStr in (field.annotation, *get_args(field.annotation)):
                result[name] = self.value(name)
                self.fields.add((entry.__name__, name))
            elif (inner := _model_of(field.annotation)) is not None and contains_secrets(inner):
                result[name] = self.mapping(inner)
            elif field.is_required():
                member = properties[name]
                result[name] = member["const"] if "const" in member else member.get("examples", [{}])[0]
        example = {
            name: properties[name].get("examples", [None])[0] for name in entry.example_keys if name not in result
        }
        try:
            entry.model_validate(both := {**example, **result}, context={})
        except ValidationError:
            return result
        return both

    def definitions(self) -> dict[str, Any]:
        """Return definitions with an entry of each type of credentials, and an app with each type of callers.

        An app has all types in a list, and one of them in its `defaults`.
        """
        app = {"bucket": "photos", "region": "cn-hangzhou", "domain": NOWHERE, "credentials": "static"}
        document = self.mapping(model.Definitions)
        document["server"] |= {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0"}
        document["credentials"] = {
            kind: self._offline(self.mapping(entry)) for kind, entry in _members(CredentialEntry).items()
        }
        callers = {
            kind: entry for kind, entry in _members(CallersEntry).items() if kind == "open" or contains_secrets(entry)
        }
        document["apps"] = {
            f"with-{kind}": {
                **app,
                "key_prefix": f"{kind}/",
                "callers": self._offline(self.mapping(entry)),
                **self._nested(),
            }
            for kind, entry in callers.items()
        }
        document["apps"]["with-list"] = {
            **app,
            "key_prefix": "list/",
            "callers": self._list({kind: entry for kind, entry in callers.items() if kind not in _OTHER_LOGINS}),
            **self._nested(),
        }
        document["defaults"] = {
            "callers": self._list({kind: entry for kind, entry in callers.items() if kind not in _OTHER_LOGINS}),
            **self._nested(),
        }
        document["apps"]["with-defaults"] = {**app, "key_prefix": "defaults/"}
        for kind in document["credentials"]:
            document["apps"][f"on-{kind}"] = {
                **app,
                "key_prefix": f"on-{kind}/",
                "credentials": kind,
                "callers": {"type": "open"},
            }
        return document

    def _list(self, callers: dict[str, type[StrictModel]]) -> list[dict[str, Any]]:
        ordered = sorted(callers, key=lambda kind: kind == "open")
        return [self._offline(self.mapping(callers[kind])) for kind in ordered]

    def _nested(self) -> dict[str, Any]:
        """Return the keys of an app whose mappings contain secrets."""
        found = {}
        for name, field in model.Defaults.model_fields.items():
            inner = _model_of(field.annotation)
            if inner is not None and contains_secrets(inner):
                found[name] = self.mapping(inner)
        for callback in found.values():
            callback["body"] = "bucket=${bucket}&object=${object}&etag=${etag}"
        return found

    @staticmethod
    def _offline(entry: dict[str, Any]) -> dict[str, Any]:
        """Return an entry whose requests fail at once."""
        kind = next(each for each in model.all_models() if _type_of(each) == entry["type"])
        return {**entry, "endpoint": NOWHERE} if "endpoint" in kind.model_fields else entry


def with_references(document: Any, planted: dict[str, str]) -> Any:
    """Return definitions with a reference to a variable in place of each secret."""
    names = {value: name for name, value in planted.items()}
    if isinstance(document, dict):
        return {key: with_references(value, planted) for key, value in document.items()}
    if isinstance(document, list):
        return [with_references(value, planted) for value in document]
    return f"${{{names[document]}}}" if document in names else copy.deepcopy(document)


def edits(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield valid and invalid YAML with the same secrets, by what was done to it."""
    text = yaml.safe_dump(document, sort_keys=False)
    yield "nothing", text
    yield "one line", yaml.safe_dump(document, default_flow_style=True, width=10**9)
    yield "misspelt keys", _dump(document, lambda key, value: {f"{key[:-2]}{key[-1]}{key[-2]}": value})
    yield "capital letters in keys", _dump(document, lambda key, value: {key.title().replace("_", ""): value})
    yield "lists", _dump(document, lambda key, value: {key: [value]})
    yield "mappings", _dump(document, lambda key, value: {key: {"a": value}})
    yield "keys of secrets", _dump(document, lambda key, value: {key: {value: 1}})
    yield "next to an unknown key", _dump(document, lambda key, value: {key: value, "zzz": 1})
    yield "unclosed references", _dump(document, lambda key, value: {key: f"${{{value}"})
    yield "defaults", _dump(document, lambda key, value: {key: f"${{NOT_SET:-{value}}}"})
    yield "tags", re.sub(r"^(.*): (?=\S*plantedhunter|\$\{PLANTED)", r"\1: !!str ", text, flags=re.MULTILINE)
    yield "an open quote", re.sub(r": (?=\S*plantedhunter|\$\{PLANTED)", ": '", text)
    yield "no colons", re.sub(r": (?=\S*plantedhunter|\$\{PLANTED)", " ", text)
    yield "twice", re.sub(r"^(.*: )(\S*plantedhunter.*|\$\{PLANTED.*)$", r"\g<0>\n\g<0>", text, flags=re.MULTILINE)
    yield "tabs", text.replace("  ", "\t")


def _dump(document: dict[str, Any], change: Callable[[str, str], dict[str, Any]]) -> str:
    """Return the YAML of definitions whose secrets are changed, with their keys."""

    def changed(value: Any) -> Any:
        if isinstance(value, list):
            return [changed(each) for each in value]
        if not isinstance(value, dict):
            return value
        result: dict[str, Any] = {}
        for key, each in value.items():
            is_secret = isinstance(each, str) and (MARKER in each or quote(MARKER) in each or "${PLANTED" in each)
            result |= change(key, each) if is_secret else {key: changed(each)}
        return result

    return yaml.safe_dump(changed(document), sort_keys=False, width=10**9)


def secret_fields() -> set[tuple[str, str]]:
    """Return every key of the models that contains a secret, with the name of its model."""
    return {
        (entry.__name__, name)
        for entry in model.all_models()
        for name, field in entry.model_fields.items()
        if SecretStr in (field.annotation, *get_args(field.annotation))
    }


def contains_secrets(entry: type[BaseModel]) -> bool:
    """Return whether a model, or one below it, has a key with a secret."""
    return any(
        SecretStr in (field.annotation, *get_args(field.annotation))
        or ((inner := _model_of(field.annotation)) is not None and contains_secrets(inner))
        for field in entry.model_fields.values()
    )


def _model_of(annotation: Any) -> type[StrictModel] | None:
    """Return the model of a field that is one mapping; credentials, apps and callers are unions or named."""
    kinds = [annotation, *get_args(annotation)]
    found = [each for each in kinds if isinstance(each, type) and issubclass(each, StrictModel)]
    is_named = annotation is not None and getattr(annotation, "__origin__", None) in (dict, tuple)
    return found[0] if found and not is_named and not issubclass(found[0], model.Defaults) else None


def _members(union: Any) -> dict[str, type[StrictModel]]:
    members: tuple[type[StrictModel], ...] = get_args(get_args(union)[0])
    return {_type_of(each): each for each in members}


def _type_of(entry: type[StrictModel]) -> str:
    field = entry.model_fields.get("type")
    return str((get_args(field.annotation) or [""])[0]) if field is not None else ""


@cache
def _schemas() -> dict[str, Any]:
    document = schema()
    return {**document["$defs"], "Definitions": document}
