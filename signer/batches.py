"""Signs the uploads of several files in one request: one caller, one credential and one moment for all of them."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from signer.admission import Admission, audit_members, byte_limits, enabled_app
from signer.callers.caller import Caller
from signer.definitions.registry import App
from signer.errors import Problem, RateLimited
from signer.limits.token_bucket import Allowance
from signer.revision import Context
from signer.signing.form import SignedUpload
from signer.signing.put_object import SignedPut
from signer.signing.upload_rules import UploadRequest
from signer.signing.v4 import Credential
from signer.telemetry.audit import AuditLog
from signer.telemetry.metrics import Metrics

SignedFile = SignedUpload | SignedPut


class SignedBatch(NamedTuple):
    """The signature of each file, or the problem that refuses it, in the order of the request."""

    results: Sequence[SignedFile | Problem]
    caller: Caller
    allowance: Allowance | None
    """What is left of the tightest limit; None if the app has no limits."""


class Batches:
    """Signs several uploads at once. Each counts as one upload in limits, metrics and the audit log."""

    def __init__(
        self, admission: Admission, metrics: Metrics, audit: AuditLog | None, *, now: Callable[[], datetime]
    ) -> None:
        self._admission = admission
        self._metrics = metrics
        self._audit = audit
        self._now = now

    async def sign(self, context: Context, requests: Sequence[UploadRequest]) -> SignedBatch:
        """Sign each upload, or the first ones where a limit allows no more.

        Raises the `Problem` that refuses all of them: of the app, the caller or the credential, or a limit that allows
        none.
        """
        with self._admission.counted_failures(context):
            app = enabled_app(context)
            if app.rules.counts_bytes:
                return await self._sign_counted(app, context, requests)
            caller, allowance = await self._admission.admit(app, context, len(requests))
            app.rules.naming.check_caller(caller.id)
            credential = await context.revision.credential(app)
        granted = len(requests) if allowance is None else allowance.granted
        results = self._sign_each(app, caller, credential, requests[:granted])
        if allowance is not None:
            results += [allowance.refusal(number) for number in range(1, len(requests) - granted + 1)]
        self._record(app, caller, context, results)
        return SignedBatch(results, caller, allowance)

    async def _sign_counted(self, app: App, context: Context, requests: Sequence[UploadRequest]) -> SignedBatch:
        """Sign each upload that limits of bytes allow. One that its own request refuses takes nothing from them."""
        sizes_bytes = [app.forms.charged_bytes(each) for each in requests]
        caller, outcomes = await self._admission.admit_files(app, context, sizes_bytes)
        limited = [each for each in outcomes if isinstance(each, RateLimited)]
        if len(limited) == len(outcomes):
            raise limited[0]
        taken_bytes = _sum_without_problems(sizes_bytes, outcomes)
        async with self._admission.bytes_given_back_on_failure(app, caller, context, taken_bytes):
            app.rules.naming.check_caller(caller.id)
            credential = await context.revision.credential(app)
        admitted = [request for request, each in zip(requests, outcomes, strict=True) if isinstance(each, Allowance)]
        signed = iter(self._sign_each(app, caller, credential, admitted))
        results = [each if isinstance(each, Problem) else next(signed) for each in outcomes]
        unused_bytes = taken_bytes - _sum_without_problems(sizes_bytes, results)
        if unused_bytes:
            await self._admission.give_back(app, byte_limits(app, caller, context, -unused_bytes))
        self._record(app, caller, context, results)
        self._admission.count_bytes(app, taken_bytes - unused_bytes)
        allowance = next((each for each in reversed(outcomes) if isinstance(each, Allowance)), None)
        return SignedBatch(results, caller, allowance)

    def _sign_each(
        self, app: App, caller: Caller, credential: Credential, requests: Sequence[UploadRequest]
    ) -> list[SignedFile | Problem]:
        now = self._now()
        results: list[SignedFile | Problem] = []
        sign = app.forms.sign
        for request in requests:
            try:
                results.append(sign(request, caller=caller.id, credential=credential, now=now))
            except Problem as problem:
                results.append(problem)
        return results

    def _record(self, app: App, caller: Caller, context: Context, results: Sequence[SignedFile | Problem]) -> None:
        signed = [each for each in results if not isinstance(each, Problem)]
        for each in results:
            if isinstance(each, Problem):
                self._admission.count_failure(context, each)
        self._metrics.count_signatures(len(signed), app.id, "signed")
        if self._audit is not None and signed:
            members = audit_members(app, caller, context)
            for file in signed:
                self._audit.add("signature", {**members, **file.audit_members()})


def _sum_without_problems(sizes_bytes: Sequence[int], outcomes: Sequence[object]) -> int:
    return sum(size for size, each in zip(sizes_bytes, outcomes, strict=True) if not isinstance(each, Problem))
