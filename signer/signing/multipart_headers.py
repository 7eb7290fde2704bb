"""The headers with which a multipart upload or a PUT obeys the rules that the policy of a form enforces.

A form's policy makes OSS compare fields with conditions. Here the signer compares the headers itself before it sends
them, or signs them for a client that must send the same ones.

See: https://help.aliyun.com/zh/oss/developer-reference/initiatemultipartupload
See: https://help.aliyun.com/zh/oss/developer-reference/completemultipartupload
"""

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from signer.errors import InvalidRequest
from signer.signing.callback_field import FormScope
from signer.signing.content_types import content_type_by_name
from signer.signing.multipart import MARK_NAME, PendingUpload, check_multipart_size
from signer.signing.policy_document import Condition
from signer.signing.upload_rules import (
    UploadRequest,
    UploadRules,
    callback_variables,
    choose_content_type,
    metadata,
)

_DEFAULTS = {"x-oss-object-acl": "default", "x-oss-storage-class": "Standard"}
_AT_COMPLETION = ("x-oss-object-acl", "x-oss-forbid-overwrite")
_OF_FORMS = ("success_action_redirect",)
"""Fields that only a form has."""
_MAX_CALLBACK_BYTES = 5 * 1024
"""Of each header in Base64; see https://help.aliyun.com/zh/oss/developer-reference/callback."""


def check_start(rules: UploadRules, request: UploadRequest) -> None:
    """Raise the `Problem` that refuses a multipart upload to every caller."""
    if rules.multipart is not None:
        check_multipart_size(rules, rules.multipart, request.size_bytes or 0)
    rules.naming.check_filename(request.filename)
    multipart_content_type(rules, request)
    object_headers(rules, request)


def multipart_content_type(rules: UploadRules, request: UploadRequest) -> str:
    """Return the type of the object; without a type in the request and the rules, the one of the file's name.

    Raises as `choose_content_type` does.
    """
    chosen = choose_content_type(rules, request)
    if chosen is None and request.filename is not None:
        chosen = content_type_by_name(request.filename)
    return chosen or "application/octet-stream"


def initiate_headers(rules: UploadRules, request: UploadRequest, *, content_type: str, mark: str) -> dict[str, str]:
    """Return the headers of InitiateMultipartUpload: type, metadata, and what the app fixes.

    Raises `InvalidRequest` if the request has metadata or variables that the app does not allow, or if the object would
    not meet the app's conditions.
    """
    headers = object_headers(rules, request)
    own = {name: value for name, value in headers.items() if name not in _AT_COMPLETION}
    return {"Content-Type": content_type, **own, f"x-oss-meta-{MARK_NAME}": mark}


def object_headers(rules: UploadRules, request: UploadRequest) -> dict[str, str]:
    """Return the headers of an object except its type: what the app fixes, in lower case, and the request's metadata.

    Raises `InvalidRequest` as `initiate_headers` does.
    """
    fixed = fixed_headers(rules)
    meta = _as_headers(metadata(rules, request.meta))
    variables = callback_variables(rules, request.vars)
    _variables_header(variables)  # Refuses now what the headers of the callback would refuse.
    unmet = unmet_condition(rules, {**fixed, **meta, **variables})
    if unmet is not None:
        field = _field_name(unmet)
        member = "vars" if field.startswith("x:") else "meta"
        raise InvalidRequest(f"{field} does not meet a condition of this app; send another value in {member}")
    return {name: value for name, value in fixed.items() if name not in _OF_FORMS} | meta


def complete_headers(rules: UploadRules, upload: PendingUpload) -> dict[str, str]:
    """Return the headers of CompleteMultipartUpload: ACL, forbid-overwrite and callback.

    Raises `InvalidRequest` if the callback is larger than OSS accepts.
    """
    fixed = fixed_headers(rules)
    headers = {name: fixed[name] for name in _AT_COMPLETION if name in fixed}
    scope = FormScope(upload.bucket, upload.key, True, upload.caller, int(upload.expires_at.timestamp()))
    return {**headers, **callback_headers(rules, scope, upload.vars, app_id=upload.app_id)}


def callback_headers(
    rules: UploadRules, scope: FormScope, variables: Mapping[str, str], *, app_id: str
) -> dict[str, str]:
    """Return the headers of the app's callback, if it has one; `variables` are by name without `x:`.

    Raises `InvalidRequest` if they are larger than OSS accepts.
    """
    if rules.callback is None:
        return {}
    values = {f"x:{name}": value for name, value in variables.items()}
    callback = rules.callback.encode(scope, app_id=app_id, variables=values.keys())
    return {"x-oss-callback": _checked(callback), **_variables_header(values)}


def _variables_header(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the header of the callback's variables, whose names start with `x:`."""
    if not variables:
        return {}
    return {"x-oss-callback-var": _checked(base64.b64encode(orjson.dumps(variables)).decode())}


def _checked(value: str) -> str:
    if len(value) > _MAX_CALLBACK_BYTES:
        raise InvalidRequest("the callback is larger than OSS accepts; send less in vars, or a shorter filename")
    return value


def fixed_headers(rules: UploadRules) -> dict[str, str]:
    """Return the headers that the app fixes, in lower case, with the same defaults as in full forms."""
    given = {name.lower(): value for name, value in rules.fields_with_one_value().items()}
    return _as_headers({**_DEFAULTS, **given, **rules.headers})


def _as_headers(values: Mapping[str, str]) -> dict[str, str]:
    """Return values without the spaces around them, which are no part of an HTTP header, and which the SDK signs."""
    return {name: value.strip() for name, value in values.items()}


def unmet_condition(rules: UploadRules, fields: Mapping[str, str]) -> Condition | None:
    """Return the first condition of the app that these fields do not meet; an absent field meets none."""
    for condition in rules.conditions:
        if isinstance(condition, list) and not _is_met(condition, fields.get(_field_name(condition))):
            return condition
    return None


def unmeetable_conditions(rules: UploadRules) -> list[int]:
    """Return the indexes of the app's conditions that no multipart upload meets: its client can set metadata only."""
    fixed = fixed_headers(rules)
    unmeetable = []
    for index, condition in enumerate(rules.conditions):
        name = _field_name(condition)
        if name in fixed:
            is_possible = unmet_condition(replace(rules, conditions=(condition,)), fixed) is None
        elif name.startswith("x:"):
            is_possible = rules.callback is not None
        else:
            is_possible = name.removeprefix("x-oss-meta-") in rules.meta_names and name.startswith("x-oss-meta-")
        if not is_possible:
            unmeetable.append(index)
    return unmeetable


def _field_name(condition: Condition) -> str:
    return str(condition[1])[1:].lower() if isinstance(condition, list) else ""


def _is_met(condition: list[Any], value: str | None) -> bool:
    """Return whether a value meets a condition.

    See: https://help.aliyun.com/zh/oss/user-guide/0006-00000227
    """
    mode, _, expected = condition
    if value is None:
        return False
    if mode == "eq":
        return bool(value == expected)
    if mode == "starts-with":
        return value.startswith(str(expected))
    return bool((value in expected) == (mode == "in"))
