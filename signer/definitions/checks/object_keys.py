"""Check how an app's objects are named: `key_prefix`, `key`, and what depends on them."""

import re
from collections.abc import Iterator

from signer.definitions import caller_model, model
from signer.definitions.mistakes import Violation
from signer.definitions.redaction import printable_name, quote
from signer.definitions.suggestions import nearest
from signer.signing.object_key import (
    CALLER_PLACEHOLDERS,
    KEY_PLACEHOLDERS,
    PREFIX_PLACEHOLDERS,
    InvalidTemplate,
    Template,
    placeholder_in_segment,
)

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def key_template(app: model.AppEntry) -> str:
    """Return the template of the key, also where `key` is a name for one; empty where the client names the object."""
    return {"client": "", "uuid": "{uuid}.{ext}"}.get(app.key, app.key)


def has_caller_prefix(app: model.AppEntry) -> bool:
    """Return whether each caller has a prefix of its own."""
    return not CALLER_PLACEHOLDERS.isdisjoint(_PLACEHOLDER.findall(app.key_prefix))


def check_object_keys(app: model.AppEntry) -> Iterator[Violation]:
    """Yield what is wrong with the names of an app's objects."""
    yield from _check_template(app, "key_prefix", app.key_prefix, PREFIX_PLACEHOLDERS)
    yield from _check_template(app, "key", key_template(app), KEY_PLACEHOLDERS)
    if app.key == "client" and "key_prefix" not in app.model_fields_set:
        danger = "key_prefix is missing, so clients could overwrite any object of the bucket"
        message = f'{danger}; write a prefix such as photos/, or key_prefix: "" to allow it'
        yield Violation((), message, at_key=True)
    if (placeholder := placeholder_in_segment(app.key_prefix, key_template(app))) is not None:
        key, text = ("key_prefix", app.key_prefix) if placeholder in app.key_prefix else ("key", app.key)
        message = (
            f"{quote(text)} has {placeholder} in a path segment with other text, so two {placeholder[1:-1]}s could get "
            f"the same key; write / before and after {placeholder}"
        )
        yield Violation((key,), message)


def _check_template(app: model.AppEntry, key: str, text: str, known: frozenset[str]) -> Iterator[Violation]:
    placeholders = _PLACEHOLDER.findall(text)
    if unknown := [name for name in placeholders if name not in known]:
        near = nearest(unknown[0], known)
        fix = f"did you mean {{{near}}}?" if near else f"known here: {' '.join(f'{{{n}}}' for n in sorted(known))}"
        yield Violation((key,), f"{{{printable_name(unknown[0])}}} is not a placeholder; {fix}")
        return
    try:
        Template.parse(text, known)
    except InvalidTemplate as error:
        yield Violation((key,), f"{quote(text)} {_with_fix(str(error))}")
        return
    used = next((name for name in placeholders if name in CALLER_PLACEHOLDERS), None)
    if used is not None and any(isinstance(each, caller_model.OpenCallers) for each in app.callers):
        message = f"uses {{{used}}}, but callers of type open are not identified; choose another type of callers"
        yield Violation((key,), message)


def _with_fix(reason: str) -> str:
    if ";" in reason:
        return reason
    return f"{reason}; {'shorten it' if 'longer' in reason else 'remove it'}"
