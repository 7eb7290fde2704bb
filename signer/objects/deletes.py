"""Deletes objects of callers, in apps that allow it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from signer.admission import Admission, audit_members, caller_limit, enabled_app
from signer.callers.caller import Caller
from signer.definitions.registry import App
from signer.errors import Forbidden
from signer.limits.token_bucket import Allowance, Limit, Rate
from signer.multipart.role_calls import RoleCalls, bucket_address
from signer.revision import Context
from signer.signing.key_ownership import is_key_of_caller, key_refusal
from signer.telemetry.audit import AuditLog
from signer.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from signer.multipart.oss_client import OssClient

PER_CALLER: Rate = (120, 60)
"""Deletes of one caller, whatever its `rate_limit`: each is a call to OSS."""
PER_APP: Rate = (3000, 60)


@dataclass(frozen=True, slots=True)
class DeletedObject:
    """A delete that OSS has confirmed."""

    caller: Caller
    allowance: Allowance | None


class Deletes:
    """Deletes the objects of all apps."""

    def __init__(
        self,
        admission: Admission,
        metrics: Metrics,
        audit: AuditLog | None,
        role_calls: RoleCalls,
        *,
        client: Callable[[], OssClient],
    ) -> None:
        self._admission = admission
        self._metrics = metrics
        self._audit = audit
        self._role_calls = role_calls
        self._client = client

    async def delete(self, context: Context, key: str) -> DeletedObject:
        """Delete an object below the caller's own prefix, or raise the `Problem` that refuses it.

        An object that does not exist is deleted already, as for OSS.
        """
        with self._admission.counted_failures(context):
            app = enabled_app(context)
            if not app.deletes:
                raise Forbidden("clients of this app may not delete objects; ask its operators to set deletes")
            caller, allowance = await self._admission.admit(app, context)
            await self._admission.acquire(app, _limits(app, caller, context))
            if not is_key_of_caller(app.rules.naming, key, app_id=app.id, caller=caller.id):
                raise key_refusal(key)
            credential = await context.revision.credential(app)
            deleting = self._client().delete(bucket_address(app), credential, key)
            await self._role_calls.run(context, app, credential, deleting)
        self._metrics.objects.count_delete(app.id)
        if self._audit is not None:
            self._audit.add("delete", {**audit_members(app, caller, context), "key": key})
        return DeletedObject(caller, allowance)


def _limits(app: App, caller: Caller, context: Context) -> Sequence[Limit]:
    return (
        caller_limit(app, "delete", "delete-anonymous", caller, context, PER_CALLER),
        Limit(f"{app.id}:deletes", PER_APP),
    )
