"""Signs the uploads of several files in one request: one caller, one credential and one moment for all of them."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from signer.admission import Admission, audit_members, enabled_app
from signer.callers.caller import Caller
from signer.errors import Problem
from signer.limits.token_bucket import Allowance
from signer.revision import Context
from signer.signing.form import SignedUpload
from signer.signing.put_object import SignedPut
from signer.signing.upload_rules import UploadRequest
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
            caller, allowance = await self._admission.admit(app, context, len(requests))
            credential = await context.revision.credential(app)
        now = self._now()
        results: list[SignedFile | Problem] = []
        granted = len(requests) if allowance is None else allowance.granted
        audited = {} if self._audit is None else audit_members(app, caller, context)
        sign = app.forms.sign
        for request in requests[:granted]:
            try:
                signed = sign(request, caller=caller.id, credential=credential, now=now)
            except Problem as problem:
                results.append(problem)
                continue
            results.append(signed)
            if self._audit is not None:
                self._audit.add("signature", {**audited, **signed.audit_members()})
        if allowance is not None:
            results += [allowance.refusal(number) for number in range(1, len(requests) - granted + 1)]
        refused = [each for each in results if isinstance(each, Problem)]
        for each in refused:
            self._admission.count_failure(context, each)
        self._metrics.count_signatures(len(results) - len(refused), app.id, "signed")
        return SignedBatch(results, caller, allowance)
