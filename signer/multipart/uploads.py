"""The steps of multipart uploads: start, parts, list, complete and abort."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from signer.admission import Admission, audit_members, enabled_app
from signer.callers.caller import Caller
from signer.definitions.registry import App
from signer.errors import Forbidden, UploadGone
from signer.multipart.active_rules import check_active_rules, check_bucket
from signer.multipart.oss_results import NoSuchUpload, StoredPart
from signer.multipart.part_comparison import compare_parts
from signer.multipart.role_calls import RoleCalls, bucket_address
from signer.multipart.step_limits import Step, limits_before_identification, limits_of_step, limits_to_give_back
from signer.multipart.step_results import CompletedUpload, StartedUpload, StepResult
from signer.revision import Context
from signer.signing.multipart import (
    PendingUpload,
    SignedPart,
    check_multipart_size,
    choose_part_size,
    sign_parts,
)
from signer.signing.multipart_headers import check_start, complete_headers, initiate_headers, multipart_content_type
from signer.signing.object_key import unique_key
from signer.signing.unique_id import new_uuid_hex
from signer.signing.upload_rules import MultipartRules, UploadRequest, charged_bytes
from signer.signing.v4 import Credential
from signer.telemetry.audit import AuditLog
from signer.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from signer.multipart.oss_client import OssClient
    from signer.signing.upload_token import UploadTokens

T = TypeVar("T")

_FIRST_PARTS = 8
"""The response to the start of an upload has these parts, so that a client can begin at once."""


class MultipartUploads:
    """Starts uploads at OSS, signs their parts and completes them. It stores nothing: see `UploadTokens`."""

    def __init__(
        self,
        admission: Admission,
        metrics: Metrics,
        audit: AuditLog | None,
        role_calls: RoleCalls,
        *,
        client: Callable[[], OssClient],
        now: Callable[[], datetime],
    ) -> None:
        self._admission = admission
        self._metrics = metrics
        self._audit = audit
        self._client = client
        self._now = now
        self._calls = role_calls

    async def start(self, context: Context, request: UploadRequest, part_size_bytes: int | None) -> StartedUpload:
        """Start an upload for the caller of a request, or raise the `Problem` that refuses it.

        `request.size_bytes` is set; `part_size_bytes` is what the client proposes.
        """
        with self._admission.counted_failures(context):
            app = enabled_app(context)
            multipart = _multipart_rules(app)
            size_bytes = charged_bytes(app.rules, request, check_start)
            caller, allowance = await self._admission.admit(app, context, 1, size_bytes)
            async with self._admission.bytes_given_back_on_failure(app, caller, context, size_bytes):
                upload, headers = self._prepare(app, multipart, caller, request, part_size_bytes)
                credential = await context.revision.credential(app)
                address = bucket_address(app)
                upload_id = await self._calls.run(
                    context, app, credential, self._client().initiate(address, credential, upload.key, headers)
                )
                upload = replace(upload, upload_id=upload_id)
                token = _tokens(context).encode(upload)
                first = range(1, min(_FIRST_PARTS, upload.part_count) + 1)
                parts = sign_parts(app.rules, upload, first, credential=credential, now=self._now())
        self._admission.count_bytes(app, size_bytes)
        self._metrics.count_signature(app.id, "signed")
        self._metrics.multipart.record_start(app.id, upload.size_bytes)
        self._record("multipart_started", app, caller, context, upload)
        return StartedUpload(token, upload, parts, caller, allowance)

    async def sign(self, context: Context, token: str, numbers: Sequence[int]) -> StepResult[Sequence[SignedPart]]:
        """Sign the parts with these numbers."""
        with self._admission.counted_failures(context):
            app, caller, upload = await self._open(context, Step.PARTS, token)
            credential = await context.revision.credential(app)
            parts = sign_parts(app.rules, upload, numbers, credential=credential, now=self._now())
        self._metrics.count_signature(app.id, "signed")
        return StepResult(parts, caller)

    async def list(self, context: Context, token: str) -> StepResult[Sequence[StoredPart]]:
        """Return the parts that OSS has, in ascending order."""
        with self._admission.counted_failures(context):
            app, caller, upload = await self._open(context, Step.LIST, token)
            credential = await context.revision.credential(app)
            try:
                return StepResult(await self._list(context, app, credential, upload), caller)
            except NoSuchUpload:
                raise _gone() from None

    async def complete(
        self, context: Context, token: str, named: Mapping[int, str] | None
    ) -> StepResult[CompletedUpload]:
        """Make the parts an object; `named` are the ETags that the client expects, by part number.

        A repeated request, whose first response may be lost, finds the object that the upload became.
        """
        with self._admission.counted_failures(context):
            app, caller, upload = await self._open(context, Step.COMPLETE, token)
            headers = complete_headers(app.rules, upload)
            credential = await context.revision.credential(app)
            try:
                stored = await self._list(context, app, credential, upload)
                compare_parts(upload, stored, named)
                completing = self._client().complete(
                    bucket_address(app), credential, upload.key, upload.upload_id, parts=stored, headers=headers
                )
                completion = await self._calls.run(context, app, credential, completing)
            except NoSuchUpload:
                return StepResult(await self._find(context, app, credential, upload), caller)
            completed = CompletedUpload(
                upload.key,
                _object_url(app, upload),
                completion.etag or (await self._find(context, app, credential, upload)).etag,
                upload.size_bytes,
                completion.callback,
                has_callback="x-oss-callback" in headers,
            )
        self._metrics.multipart.count(app.id, "completed")
        self._record("multipart_completed", app, caller, context, upload)
        return StepResult(completed, caller)

    async def abort(self, context: Context, token: str) -> StepResult[None]:
        """Delete an upload and its parts; one that does not exist counts as deleted."""
        with self._admission.counted_failures(context):
            app, caller, upload = await self._open(context, Step.ABORT, token)
            credential = await context.revision.credential(app)
            aborting = self._client().abort(bucket_address(app), credential, upload.key, upload.upload_id)
            try:
                await self._calls.run(context, app, credential, aborting)
            except NoSuchUpload:
                return StepResult(None, caller)
            if app.rules.counts_bytes:
                await self._admission.give_back(app, limits_to_give_back(app, caller, context, upload, self._now()))
        self._metrics.multipart.count(app.id, "aborted")
        self._record("multipart_aborted", app, caller, context, upload)
        return StepResult(None, caller)

    def _prepare(
        self,
        app: App,
        multipart: MultipartRules,
        caller: Caller,
        request: UploadRequest,
        part_size_bytes: int | None,
    ) -> tuple[PendingUpload, dict[str, str]]:
        """Return an upload without its id, and the headers to start it with; raise the `Problem` that refuses it."""
        rules, now = app.rules, self._now().replace(microsecond=0)
        size_bytes = request.size_bytes or 0
        check_multipart_size(rules, multipart, size_bytes)
        prefix, key = rules.naming.keys(app_id=app.id, caller=caller.id, filename=request.filename, now=now)
        upload = PendingUpload(
            app_id=app.id,
            caller=caller.id,
            bucket=rules.bucket,
            region=rules.region,
            key=unique_key(prefix, request.filename) if key is None else key,
            content_type=multipart_content_type(rules, request),
            upload_id="",
            mark=new_uuid_hex(),
            size_bytes=size_bytes,
            part_size_bytes=choose_part_size(multipart, size_bytes, part_size_bytes),
            expires_at=now + multipart.expires,
            vars=request.vars,
        )
        headers = initiate_headers(rules, request, content_type=upload.content_type, mark=upload.mark)
        complete_headers(rules, upload)  # Refuses now what would be refused after all parts were sent.
        return upload, headers

    async def _open(self, context: Context, step: Step, token: str) -> tuple[App, Caller, PendingUpload]:
        """Identify the caller, apply the limits of the step, and return the upload if it is the caller's own."""
        app = enabled_app(context)
        await self._admission.acquire(app, limits_before_identification(app, context))
        caller = await context.revision.checks[app.id].identify(context)
        tokens = context.revision.upload_tokens
        if tokens is None:
            raise UploadGone("this signer has no multipart uploads any more; use a form")
        upload = tokens.decode(token, app_id=app.id, caller=caller.id)
        await self._admission.acquire(app, limits_of_step(app, step, caller, context, upload.upload_id))
        if step is Step.ABORT:
            check_bucket(app, upload)
        else:
            check_active_rules(app, upload, self._now())
        return app, caller, upload

    async def _list(
        self, context: Context, app: App, credential: Credential, upload: PendingUpload
    ) -> Sequence[StoredPart]:
        listing = self._client().list_parts(bucket_address(app), credential, upload.key, upload.upload_id)
        return await self._calls.run(context, app, credential, listing)

    async def _find(self, context: Context, app: App, credential: Credential, upload: PendingUpload) -> CompletedUpload:
        """Return the object that the upload became. Raises `UploadGone` if its key has no or another object."""
        finding = self._client().find_object(bucket_address(app), credential, upload.key)
        found = await self._calls.run(context, app, credential, finding)
        if found is None or (found.mark, found.size_bytes) != (upload.mark, upload.size_bytes):
            raise _gone()
        return CompletedUpload(upload.key, _object_url(app, upload), found.etag, found.size_bytes)

    def _record(self, event: str, app: App, caller: Caller, context: Context, upload: PendingUpload) -> None:
        if self._audit is not None:
            members = {
                "key": upload.key,
                "size": upload.size_bytes,
                "content_type": upload.content_type,
                "upload": upload.mark,
                "expires_at": upload.expires_at,
            }
            self._audit.add(event, {**audit_members(app, caller, context), **members})


def _multipart_rules(app: App) -> MultipartRules:
    if app.rules.multipart is None:
        raise Forbidden("this app has no multipart uploads; use a form, or ask its operators to set multipart")
    return app.rules.multipart


def _tokens(context: Context) -> UploadTokens:
    tokens = context.revision.upload_tokens
    assert tokens is not None, "an app with multipart needs server.secret"
    return tokens


def _object_url(app: App, upload: PendingUpload) -> str:
    return f"{app.rules.url}/{quote(upload.key)}"


def _gone() -> UploadGone:
    return UploadGone("OSS has no such upload any more, and no object of it; start a new one")
