"""Sign upload forms: the fields that a client posts to OSS together with its file.

OSS accepts a form field that no condition of the policy names, and a condition on a field fails when the form does not
have it. So a condition cannot forbid a field: each field that a client must not choose is in the form, with a condition
that fixes its value. `open_fields` returns the others.

See: https://help.aliyun.com/zh/oss/developer-reference/postobject
See: https://help.aliyun.com/zh/oss/user-guide/0006-00000227
"""

import json
from base64 import b64decode
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Any

from signer.signing.callback_field import CallbackField, FormScope
from signer.signing.object_key import unique_key
from signer.signing.policy_document import (
    Condition,
    PolicyHead,
    PolicyTemplate,
    exact_match_conditions,
    serialize_conditions,
)
from signer.signing.put_object import SignedPut, put_headers, sign_put
from signer.signing.upload_rules import (
    EMPTY_REQUEST,
    UploadRequest,
    UploadRules,
    callback_variables,
    charged_bytes,
    check_size,
    choose_content_type,
    content_type_condition,
    find_content_type,
    metadata,
)
from signer.signing.v4 import Credential

_DEFAULTS = {"x-oss-object-acl": "default", "x-oss-storage-class": "Standard"}
"""Fields of full forms, unless the YAML has a value or a condition for them."""
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(slots=True, eq=False)
class SignedUpload:
    """A form that OSS accepts until `expires_at`."""

    rules: UploadRules = field(repr=False)
    key_prefix: str
    key: str | None
    """The object key, or None where the client completes `key_prefix` with a name."""
    is_exact_key: bool
    """Whether the policy allows no other key below the prefix."""
    head: PolicyHead = field(repr=False)
    policy_tail: bytes = field(repr=False)
    """The policy in Base64 after the part that `head` contains."""
    signature: str = field(repr=False)
    own_fields: Mapping[str, str] = field(repr=False)
    """The fields that `head` does not contain, without key, policy and signature."""
    size_bytes: int | None = field(default=None, init=False)
    """The only size of the file that the policy allows, where bytes are limited."""
    response_body: bytes | None = field(default=None, init=False, repr=False)
    """The serialized response, kept here by the API because several clients can receive the same form."""

    @property
    def url(self) -> str:
        return self.rules.url

    @property
    def max_size_bytes(self) -> int:
        return self.rules.max_size_bytes if self.size_bytes is None else self.size_bytes

    @property
    def expires_at(self) -> datetime:
        return self.head.expires_at

    @property
    def form_key(self) -> str:
        """The value of the field `key`."""
        return self.key_prefix + "${filename}" if self.key is None else self.key

    @property
    def fields(self) -> dict[str, str]:
        """All fields of the form, in a new dictionary."""
        return {
            "key": self.form_key,
            **self.head.fields,
            **self.own_fields,
            "policy": self.head.base64 + self.policy_tail.decode(),
            "x-oss-signature": self.signature,
        }

    @property
    def further_fields(self) -> dict[str, str]:
        """The fields that a client sends in addition to those of Alibaba's sample, in a new dictionary."""
        key = {} if self.key is None else {"key": self.key}
        return {**self.head.fixed_fields, **self.own_fields, **key}

    def audit_members(self) -> dict[str, object]:
        """Return what the audit log records."""
        return {
            "key": self.key if self.is_exact_key else None,
            "key_prefix": self.key_prefix,
            "max_size": self.max_size_bytes,
            "expires_at": self.expires_at,
        }

    def policy_document(self) -> dict[str, Any]:
        """Return the decoded policy document, with its security token masked."""
        document: dict[str, Any] = json.loads(b64decode(self.fields["policy"]))
        for condition in document["conditions"]:
            if "x-oss-security-token" in condition:
                condition["x-oss-security-token"] = "***"
        return document


class Forms:
    """Sign the forms of one app."""

    __slots__ = ("_app_id", "_full_forms", "_is_same_for_all", "_last_sample", "_sample_forms", "rules")

    def __init__(self, app_id: str, rules: UploadRules) -> None:
        self.rules = rules
        self._app_id = app_id
        restricted = {rule[1][1:].lower() for rule in rules.conditions if isinstance(rule, list)}
        fixed = {name: value for name, value in _DEFAULTS.items() if name not in restricted}
        fixed |= {**rules.headers, "success_action_status": str(rules.success_status)}
        given = rules.fields_with_one_value()
        # Where bytes are limited, each form has a range of its own.
        shared = [] if rules.counts_bytes else [_size_condition(rules.min_size_bytes, rules.max_size_bytes)]
        shared += rules.conditions
        policy = partial(PolicyTemplate, rules.bucket, rules.region, rules.expires)
        self._full_forms = policy({**given, **fixed}, [*shared, *exact_match_conditions(fixed)])
        self._sample_forms = policy({**given, **rules.headers}, [*shared, *exact_match_conditions(rules.headers)])
        self._is_same_for_all = rules.naming.is_same_for_all
        self._last_sample: tuple[PolicyHead, SignedUpload] | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Forms) and (self._app_id, self.rules) == (other._app_id, other.rules)

    def sign(
        self, request: UploadRequest, *, caller: str | None, credential: Credential, now: datetime
    ) -> SignedUpload | SignedPut:
        """Return what the client requests: a complete form, or the URL of a PUT. Raises as these do."""
        if request.is_put:
            return sign_put(self._app_id, self.rules, request, caller=caller, credential=credential, now=now)
        return self.full_form(request, caller=caller, credential=credential, now=now)

    def charged_bytes(self, request: UploadRequest) -> int:
        """Return what a request takes from limits of bytes; 0 for one that `sign` refuses from every caller."""
        return charged_bytes(self.rules, request, put_headers if request.is_put else _check_form)

    def full_form(
        self, request: UploadRequest, *, caller: str | None, credential: Credential, now: datetime
    ) -> SignedUpload:
        """Return a complete form, of which the client can change or drop no field.

        Where the client names the objects, it can change the key to any other below the prefix.

        Raises a `Problem` if the request breaks the rules, or the credential has expired.
        """
        rules = self.rules
        prefix, exact_key = self._keys(request, caller, now)
        head = self._full_forms.head(credential, now)
        typed = head.extensions.get(request.content_type or "")
        if typed is not None:  # the rules allow this type
            head = typed
        elif (content_type := choose_content_type(rules, request)) is not None:
            head = head.extensions.get(content_type) or _typed_head(head, content_type)
        fields, conditions = _NOTHING, b""
        if rules.callback is not None or request.vars or request.meta:
            more = callback_variables(rules, request.vars) | metadata(rules, request.meta)
            if rules.callback is not None:
                names = {f"x:{name}" for name in request.vars}
                more["callback"] = self._callback(rules.callback, prefix, exact_key, caller, head, variables=names)
            fields, conditions = more, serialize_conditions(exact_match_conditions(more))
        if rules.counts_bytes and request.size_bytes is not None:
            conditions += serialize_conditions([_size_condition(request.size_bytes, request.size_bytes)])
        # With ${filename}, clients that give each file the same name overwrite their own objects.
        suggested = unique_key(prefix, request.filename) if exact_key is None and not request.reuse else None
        upload = self._sign(head, prefix, exact_key, fields, conditions, suggested_key=suggested)
        if rules.counts_bytes:
            upload.size_bytes = request.size_bytes
        return upload

    def sample_form(
        self, request: UploadRequest, *, caller: str | None, credential: Credential, now: datetime
    ) -> SignedUpload:
        """Return the parts of a form for a client that builds its form itself, as Alibaba's sample does.

        Such a client sends no ACL and any success status, so only what the YAML fixes has a condition. It must send
        the `further_fields`. Raises as `full_form` does, except for a type that is missing: the client then chooses it.

        See: https://help.aliyun.com/document_detail/92883.html
        """
        head = self._sample_forms.head(credential, now)
        is_for_all = request is EMPTY_REQUEST and caller is None and self._is_same_for_all
        if is_for_all and self._last_sample is not None and self._last_sample[0] is head:
            return self._last_sample[1]
        rules = self.rules
        prefix, key = self._keys(request, caller, now)
        fields = {}
        conditions = b""
        if rules.callback is not None:
            fields["callback"] = self._callback(rules.callback, prefix, key, caller, head)
            conditions = serialize_conditions(exact_match_conditions(fields))
        if rules.content_types:
            conditions += serialize_conditions([content_type_condition(rules, request)])
        if (content_type := find_content_type(rules, request)) is not None:
            fields["x-oss-content-type"] = content_type
        upload = self._sign(head, prefix, key, fields, conditions)
        if is_for_all:
            self._last_sample = (head, upload)
        return upload

    def _keys(self, request: UploadRequest, caller: str | None, now: datetime) -> tuple[str, str | None]:
        check_size(self.rules, request)
        return self.rules.naming.keys(app_id=self._app_id, caller=caller, filename=request.filename, now=now)

    def _callback(
        self,
        callback: CallbackField,
        prefix: str,
        key: str | None,
        caller: str | None,
        head: PolicyHead,
        variables: Collection[str] | None = None,
    ) -> str:
        is_exact = key is not None
        expires_at = int(head.expires_at.timestamp())
        scope = FormScope(self.rules.bucket, prefix if key is None else key, is_exact, caller, expires_at)
        return callback.encode(scope, app_id=self._app_id, variables=variables)

    def _sign(
        self,
        head: PolicyHead,
        prefix: str,
        exact_key: str | None,
        fields: Mapping[str, str],
        conditions: bytes,
        suggested_key: str | None = None,
    ) -> SignedUpload:
        """Return the form; `fields` and `conditions` are those that `head` does not contain."""
        if exact_key is None:
            tail, signature = head.complete(conditions, prefix, is_exact_key=False)
            return SignedUpload(self.rules, prefix, suggested_key, False, head, tail, signature, fields)
        tail, signature = head.complete(conditions, exact_key, is_exact_key=True)
        return SignedUpload(self.rules, prefix, exact_key, True, head, tail, signature, fields)


def _check_form(rules: UploadRules, request: UploadRequest) -> None:
    """Raise the `Problem` that refuses a full form to every caller."""
    check_size(rules, request)
    rules.naming.check_filename(request.filename)
    choose_content_type(rules, request)
    callback_variables(rules, request.vars)
    metadata(rules, request.meta)


def _size_condition(min_size_bytes: int, max_size_bytes: int) -> Condition:
    return ["content-length-range", min_size_bytes, max_size_bytes]


def open_fields(rules: UploadRules, *, sample: bool) -> list[str]:
    """Return the fields of a form to which a client can give any value. OSS ignores unknown ones."""
    fields = ["Cache-Control", "Content-Disposition", "Content-Encoding", "Expires", "x-oss-meta-*"]
    fields += ["x-oss-server-side-encryption", "x-oss-forbid-overwrite", "success_action_redirect"]
    if sample:
        fields += ["x-oss-object-acl", "x-oss-storage-class", "success_action_status"]
    if not rules.content_types:
        fields.append("x-oss-content-type")
    if rules.callback is None:
        fields.append("callback")
    elif sample:
        fields.append("x:*")
    fixed = {name.lower() for name in (*rules.headers, *rules.fields_with_one_value())}
    return [name for name in fields if name.lower() not in fixed]


def _typed_head(head: PolicyHead, content_type: str) -> PolicyHead:
    """Return the head of forms that fix the stored type.

    OSS uses `x-oss-content-type` first and `Content-Type` otherwise, so both are fixed.
    """
    return head.extended(content_type, {"x-oss-content-type": content_type, "Content-Type": content_type})
