"""Runs every step of `doctor` that the definitions need."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from signer.credentials.sdk_thread import SdkThread
from signer.credentials.sources.credential_source import FetchFailed
from signer.definitions.credential_model import EcsRamRole, StsRole
from signer.definitions.redaction import printable_name
from signer.definitions.suggestions import KnownNames
from signer.doctor.findings import STEPS, Finding, Subject, Verdict
from signer.doctor.http_probe import HttpProbe, NoResponse, Step
from signer.doctor.oss_probe import OssEndpoint, OssProbe
from signer.doctor.plan import BucketUse, Plan, PrefixUse, make_plan
from signer.doctor.steps.bucket import check_signed, check_unsigned
from signer.doctor.steps.callback_keys import check_callback_keys
from signer.doctor.steps.clock import check_clocks, is_clock_wrong
from signer.doctor.steps.cors import check_cors
from signer.doctor.steps.credential import TokenFetcher, check_credential
from signer.doctor.steps.definitions import check_definitions
from signer.doctor.steps.domain import check_certificate, check_domain
from signer.doctor.steps.lifecycle import check_lifecycle
from signer.doctor.steps.listen import check_listen
from signer.doctor.steps.metadata import check_metadata
from signer.doctor.steps.multipart import check_multipart
from signer.doctor.steps.redis import check_redis
from signer.doctor.steps.stored_objects import check_stored_objects
from signer.doctor.steps.wechat import check_wechat
from signer.doctor.steps.write import check_write
from signer.environment import Environment
from signer.redis_url import is_redis_url
from signer.revision import RolePlanner
from signer.signing.v4 import Credential

_READING = ("oss:GetObject",)
"""The actions that change nothing."""
Steps = Iterator[tuple[Subject, Step]]

_WRONG_CLOCK = "because this machine's clock is wrong"


async def diagnose(
    config: str, environment: Environment, *, app_id: str | None, timeout_seconds: float, oss_endpoint: str, write: bool
) -> list[Finding]:
    """Return the findings of all steps, in order: for the definitions at `config`, or for one app of them."""
    registry, found = await check_definitions(config, environment)
    if registry is None:
        found.append(Subject("credential", "").not_checked("because there are no usable definitions"))
    elif app_id is not None and app_id not in registry.apps:
        subject = Subject("definitions", f"--app {printable_name(app_id)}")
        found.append(subject.failed("there is no such app", KnownNames(registry.apps).suggestion(app_id)))
    else:
        plan = await asyncio.to_thread(make_plan, registry, app_id)
        async with HttpProbe.open(timeout_seconds) as http:
            sdk = SdkThread(http.observe)
            checkup = Checkup(plan, http, sdk, environment, OssEndpoint(oss_endpoint))
            try:
                found += await checkup.run(write=write)
            finally:
                await checkup.close()
                sdk.close()
    return sorted(found, key=lambda finding: STEPS.index(finding.step))


class Checkup:
    """Runs the steps: first those that depend on nothing, then those that need the clock, tokens and buckets."""

    def __init__(
        self, plan: Plan, http: HttpProbe, sdk: SdkThread, environment: Environment, endpoint: OssEndpoint
    ) -> None:
        self._plan = plan
        self._http = http
        self._oss = OssProbe(http, endpoint)
        planner = RolePlanner(sdk, environment)
        self._tokens = TokenFetcher(planner, plan.registry_of_shared_roles())
        self._narrowed_tokens = TokenFetcher(planner, plan.registry)
        """With session policies; fetched only for --write."""
        self._credentials: dict[str, Credential] = {}
        """By role."""
        self._no_credential: dict[str, str] = {}
        """By role, the reason why it has no token."""
        self._failed_buckets: set[BucketUse] = set()
        """Steps that look into a bucket skip these."""

    async def run(self, *, write: bool) -> list[Finding]:
        """Return the findings of all steps; `write` adds the step that puts objects."""
        found = await self._run_all(self._independent())
        found += check_clocks(self._http)
        roleless = {each.subject for each in found if each.step == "metadata" and each.verdict is Verdict.FAILED}
        found += await self._run_all(self._credential_steps(roleless))
        found += await self._run_all(self._bucket_steps())
        found += await self._run_all(self._steps_in_buckets(write=write))
        return found

    async def close(self) -> None:
        await self._tokens.close()
        await self._narrowed_tokens.close()

    async def _run_all(self, steps: Steps) -> list[Finding]:
        done = await asyncio.gather(*(self._http.run(subject, step) for subject, step in steps))
        return [finding for findings in done for finding in findings]

    def _independent(self) -> Steps:
        """Their responses also carry the Dates that the clock is compared with."""
        http, plan, server = self._http, self._plan, self._plan.registry.server
        yield Subject("listen", ""), check_listen(http, server)
        metadata: dict[str, dict[str, EcsRamRole]] = {}
        for name, role in plan.roles.items():
            if isinstance(role.entry, EcsRamRole):
                metadata.setdefault(role.entry.endpoint.rstrip("/"), {})[name] = role.entry
        for endpoint, entries in metadata.items():
            yield Subject("metadata", endpoint), check_metadata(http, endpoint, entries)
        for endpoint in {role.entry.endpoint for role in plan.roles.values() if isinstance(role.entry, StsRole)}:
            yield Subject("clock", urlsplit(endpoint).netloc), self._fetch_date(endpoint)
        for use, apps in plan.buckets.items():
            subject = Subject("bucket", str(use), apps)
            yield subject, self._check_unsigned(subject, use)
        domains = {domain.url: (domain.use, apps) for domain, apps in plan.domains.items()}
        for url, (use, apps) in domains.items():
            if url != use.default_url:
                yield Subject("certificate", url, apps), check_certificate(http, url, use, apps)
        for account, apps in plan.wechat.items():
            subject = Subject("wechat", account.app_id, apps)
            yield subject, check_wechat(http, subject, account)
        if plan.callbacks:
            yield Subject("callback keys", ""), check_callback_keys(http, server.callback_keys, plan.callbacks)
        for key, secret in (("limits", plan.registry.limits), ("server.callback_queue", server.callback_queue)):
            if secret is not None and is_redis_url(secret.get_secret_value()):
                yield Subject("redis", key), check_redis(http, key, secret.get_secret_value())

    async def _fetch_date(self, endpoint: str) -> list[Finding]:
        """Only the Date matters; the step `credential` reports an endpoint that does not respond."""
        with contextlib.suppress(NoResponse):
            await self._http.request(f"{endpoint}/", dated=True)
        return []

    async def _check_unsigned(self, subject: Subject, use: BucketUse) -> list[Finding]:
        found = await check_unsigned(self._oss, subject, use)
        if found is not None:
            self._failed_buckets.add(use)
        return [] if found is None else [found]

    def _credential_steps(self, roleless: set[str]) -> Steps:
        for name, role in self._plan.roles.items():
            if is_clock_wrong(self._http) and isinstance(role.entry, StsRole):
                self._no_credential[name] = _WRONG_CLOCK
            elif name in roleless:
                self._no_credential[name] = "because the metadata service has no such role"
            subject = Subject("credential", name, self._plan.role_apps[name])
            yield subject, self._check_credential(subject)

    async def _check_credential(self, subject: Subject) -> Finding:
        name = subject.name
        if name in self._no_credential:
            return subject.not_checked(self._no_credential[name])
        found = await check_credential(self._tokens, subject, self._plan.roles[name])
        if found.verdict is Verdict.OK:
            self._credentials[name] = await self._tokens.token(name)
        else:
            self._no_credential[name] = f"because credentials.{name} has no token"
        return found

    def _bucket_steps(self) -> Steps:
        for use, apps in self._plan.buckets.items():
            if use not in self._failed_buckets:
                subject = Subject("bucket", str(use), apps)
                yield subject, self._check_signed(subject, use)

    async def _check_signed(self, subject: Subject, use: BucketUse) -> Finding:
        if (reason := self._reason_to_skip(use)) is not None:
            return subject.not_checked(f"{reason}; a bucket of this name exists")
        found = await check_signed(self._oss, subject, use, self._credentials[use.role])
        if found.verdict is Verdict.FAILED:
            self._failed_buckets.add(use)
        return found

    def _reason_to_skip(self, use: BucketUse) -> str | None:
        """Return why no request can be signed for this role; None if it can."""
        if is_clock_wrong(self._http):
            return _WRONG_CLOCK
        return None if use.role in self._credentials else self._no_credential.get(use.role, "because it has no token")

    def _credential(self, use: BucketUse) -> Credential | None:
        return None if self._reason_to_skip(use) is not None else self._credentials[use.role]

    def _steps_in_buckets(self, *, write: bool) -> Steps:
        oss, plan = self._oss, self._plan
        for use, origins in plan.origins.items():
            apps = tuple(app_id for app_id in plan.buckets[use] if plan.registry.apps[app_id].cors_origins)
            subject = Subject("cors", str(use), apps)
            methods = {origin: plan.methods[use, origin] for origin in origins}
            check = partial(check_cors, oss, use, methods, apps, self._credential(use))
            yield subject, self._check_in_bucket(subject, use, check)
        for domain, apps in plan.domains.items():
            subject = Subject("domain", str(domain), apps)
            check_one = partial(check_domain, oss, subject, domain, self._credential(domain.use))
            yield subject, self._check_in_bucket(subject, domain.use, check_one)
        yield from self._multipart_steps()
        for objects, apps in plan.objects.items():
            if actions := tuple(each for each in objects.actions if write or each in _READING):
                subject = Subject("objects", str(objects), apps)
                yield (
                    subject,
                    self._check_signed_in_bucket(subject, objects.use, check_stored_objects, objects, actions),
                )
        for prefix, apps in plan.prefixes.items() if write else ():
            subject = Subject("write", str(prefix), apps)
            yield subject, self._check_in_bucket(subject, prefix.use, partial(self._check_write, subject, prefix))

    def _multipart_steps(self) -> Steps:
        """Check what only multipart uploads need."""
        plan = self._plan
        users: dict[BucketUse, list[str]] = {}
        for multipart, apps in plan.multipart.items():
            users.setdefault(multipart.use, []).extend(apps)
            subject = Subject("multipart", str(multipart), apps)
            yield subject, self._check_signed_in_bucket(subject, multipart.use, check_multipart, multipart)
        for use, user_ids in users.items():
            subject = Subject("lifecycle", str(use), tuple(user_ids))
            lifetimes = plan.part_lifetimes(use)
            yield subject, self._check_signed_in_bucket(subject, use, check_lifecycle, use, lifetimes)

    async def _check_signed_in_bucket(
        self, subject: Subject, use: BucketUse, check: Callable[..., Coroutine[Any, Any, Finding]], *arguments: object
    ) -> list[Finding]:
        """Run a check that needs the token of the role."""
        if (reason := self._reason_to_skip(use)) is not None:
            return [subject.not_checked(reason)]
        run = partial(check, self._oss, subject, *arguments, self._credentials[use.role])
        return await self._check_in_bucket(subject, use, run)

    async def _check_in_bucket(self, subject: Subject, use: BucketUse, check: Callable[[], Step]) -> list[Finding]:
        if use in self._failed_buckets:
            return [subject.not_checked("because the bucket is not as defined")]
        found = await check()
        return found if isinstance(found, list) else [found]

    async def _check_write(self, subject: Subject, prefix: PrefixUse) -> Finding:
        if (reason := self._reason_to_skip(prefix.use)) is not None:
            return subject.not_checked(reason)
        shared = self._credentials[prefix.use.role]
        try:
            is_shared = prefix.role_key == prefix.use.role
            writer = shared if is_shared else await self._narrowed_tokens.token(prefix.role_key)
        except FetchFailed as error:
            return subject.failed(f"no token for the app: {error}", "see the step credential about scope: app")
        app = self._plan.registry.apps[subject.apps[0]]
        return await check_write(self._oss, subject, prefix, app, writer, None if is_shared else shared)
