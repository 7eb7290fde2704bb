"""Signs URLs that read objects: those of the caller, and those that all callers of the app may read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from signer.admission import Admission, audit_members, enabled_app
from signer.callers.caller import Caller
from signer.definitions.registry import App
from signer.errors import Forbidden, InvalidRequest, Problem
from signer.limits.token_bucket import Allowance
from signer.revision import Context
from signer.signing.download_url import DownloadRules, DownloadSigner, Period, period_at
from signer.signing.key_ownership import key_refusal, keys_below, keys_of_caller
from signer.signing.v4 import Credential
from signer.telemetry.audit import AuditLog
from signer.telemetry.metrics import Metrics
from signer.temporary_credentials import TemporaryCredentialService


class SignedDownload(NamedTuple):
    """The URL of one object, or why there is none."""

    key: str
    url: str = ""
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class SignedDownloads:
    """The results for each key of a request, in its order."""

    downloads: Sequence[SignedDownload]
    expires_at: datetime
    """When all the URLs expire."""
    caller: Caller
    allowance: Allowance | None


class DownloadUrls:
    """Signs the downloads of all apps."""

    def __init__(
        self,
        admission: Admission,
        metrics: Metrics,
        audit: AuditLog | None,
        temporary_credentials: TemporaryCredentialService,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._admission = admission
        self._metrics = metrics
        self._audit = audit
        self._temporary_credentials = temporary_credentials
        self._now = now

    async def sign_one(self, context: Context, key: str, style: str | None = None) -> SignedDownloads:
        """Sign a URL that reads one object, or raise the `Problem` that refuses it."""
        return await self._sign(context, [key], style, is_batch=False)

    async def sign(self, context: Context, keys: Sequence[str], style: str | None = None) -> SignedDownloads:
        """Sign a URL for each key that the caller may read; raise the `Problem` that refuses the whole request.

        `style` is the name of a style of the app. The request counts once in `rate_limit`.
        """
        return await self._sign(context, keys, style, is_batch=True)

    async def _sign(
        self, context: Context, keys: Sequence[str], style: str | None, *, is_batch: bool
    ) -> SignedDownloads:
        with self._admission.counted_failures(context):
            app = enabled_app(context)
            rules = app.downloads
            if rules is None:
                raise Forbidden("this app has no downloads; ask its operators to set downloads")
            caller, allowance = await self._admission.admit(app, context)
            process = _process(rules, style)
            may_read = _readable_keys(app, rules, caller)
            if not is_batch and not may_read(keys[0]):
                raise key_refusal(keys[0])
            credential, period = await self._credential(context, app, caller, rules)
            signer = DownloadSigner(
                rules.url,
                bucket=app.rules.bucket,
                region=app.rules.region,
                credential=credential,
                period=period,
                process=process,
                disposition=rules.disposition,
            )
            downloads = [
                SignedDownload(key, signer.url(key)) if may_read(key) else SignedDownload(key, problem=key_refusal(key))
                for key in keys
            ]
        signed = [each.key for each in downloads if each.problem is None]
        first = downloads[0].problem
        self._metrics.count_signature(app.id, "signed" if signed or first is None else first.code)
        self._metrics.objects.record_downloads(app.id, signed=len(signed), refused=len(downloads) - len(signed))
        if self._audit is not None and signed:
            members = {"keys" if is_batch else "key": signed if is_batch else signed[0], "expires_at": period.end}
            if style is not None:
                members["style"] = style
            self._audit.add("download", {**audit_members(app, caller, context), **members})
        return SignedDownloads(downloads, period.end, caller, allowance)

    async def _credential(
        self, context: Context, app: App, caller: Caller, rules: DownloadRules
    ) -> tuple[Credential, Period]:
        """Return the credential to sign downloads with, and how long they are valid.

        This is the one place where that credential is chosen. During a window it is the one that the window began with,
        because a URL contains the security token. In apps with temporary credentials, it is the caller's own: a caller
        with `oss:PutObject` can make a symbolic link to the object of another one, and OSS checks with the credential
        of the download whether the target may be read.

        See: https://help.aliyun.com/zh/oss/developer-reference/putsymlink
        """
        roles, period = context.revision.roles, period_at(rules, self._now())
        if app.caller_access is not None:
            credential = await self._temporary_credentials.credential_for_reading(
                context, app, app.caller_access, caller, until=period.end
            )
            period = period if rules.window else period_at(rules, self._now())
        elif rules.window:
            credential = await roles.get_for_period(app.role, period.start, period.end)
        else:
            credential = await context.revision.credential(app)
            period = period_at(rules, self._now())
        return credential, period.within(credential, self._now())


def _process(rules: DownloadRules, style: str | None) -> str | None:
    if style is None:
        return None
    process = rules.styles.get(style)
    if process is None:
        known = ", ".join(rules.styles) or "none"
        raise InvalidRequest(f"this app has no style {style[:64]!r}; its styles: {known}")
    return process


def _readable_keys(app: App, rules: DownloadRules, caller: Caller) -> Callable[[str], bool]:
    """Return a function that decides whether the caller may read a key."""
    is_shared = keys_below(rules.also)
    if not rules.reads_own:
        return is_shared
    is_own = keys_of_caller(app.rules.naming, app_id=app.id, caller=caller.id)
    return (lambda key: is_own(key) or is_shared(key)) if rules.also else is_own
