"""All steps: what depends on nothing first and together, then what needs the clock, tokens and buckets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from signer.credentials.sdk_thread import SdkThread
from signer.credentials.sources.credential_source import FetchFailed
from signer.definitions import model
from signer.doctor.findings import About, Finding, Verdict
from signer.doctor.http_probe import Asking, NoAnswer, Step
from signer.doctor.oss_probe import Endpoint, Oss
from signer.doctor.plan import BucketUse, Ids, Plan, PrefixUse
from signer.doctor.steps.bucket import signed, unsigned
from signer.doctor.steps.callback_keys import callback_keys
from signer.doctor.steps.clock import clock, wrong
from signer.doctor.steps.cors import cors
from signer.doctor.steps.credential import Tokens, credential
from signer.doctor.steps.domain import certificate, domain
from signer.doctor.steps.listen import listen
from signer.doctor.steps.metadata import metadata
from signer.doctor.steps.redis import SCHEMES, answers
from signer.doctor.steps.wechat import wechat
from signer.doctor.steps.write import write
from signer.environment import Environment
from signer.revision import RolePlanner
from signer.signing.v4 import Credential

Steps = Iterator[tuple[About, Step]]

_CLOCK = "because our clock is wrong"


class Checkup:
    def __init__(
        self, plan: Plan, asking: Asking, sdk: SdkThread, environment: Environment, endpoint: Endpoint
    ) -> None:
        self._plan = plan
        self._asking = asking
        self._oss = Oss(asking, endpoint)
        planner = RolePlanner(sdk, environment)
        self._tokens = Tokens(planner, plan.common_registry())
        self._narrow_tokens = Tokens(planner, plan.registry)
        """Those with session policies; fetched only for --write."""
        self._blocked: dict[str, str] = {}
        """By role, why it has no token."""
        self._credentials: dict[str, Credential] = {}
        self._unfit: set[BucketUse] = set()
        """Buckets that are not as they should be, so that what is in them need not be looked at."""

    async def run(self, *, writing: bool) -> list[Finding]:
        found = await self._all(self._independent())
        found += clock(self._asking)
        no_role = {each.subject for each in found if each.step == "metadata" and each.verdict is Verdict.FAILED}
        found += await self._all(self._roles(no_role))
        found += await self._all(self._buckets())
        found += await self._all(self._in_buckets(writing=writing))
        return found

    async def close(self) -> None:
        await self._tokens.close()
        await self._narrow_tokens.close()

    async def _all(self, steps: Steps) -> list[Finding]:
        done = await asyncio.gather(*(self._asking.check(about, step) for about, step in steps))
        return [finding for findings in done for finding in findings]

    def _independent(self) -> Steps:
        """The answers tell the time of the servers too."""
        asking, plan, server = self._asking, self._plan, self._plan.registry.server
        yield About("listen", ""), listen(asking, server)
        for endpoint, entries in self._metadata_entries().items():
            yield About("metadata", endpoint), metadata(asking, endpoint, entries)
        assumed = [role.entry for role in plan.roles.values() if isinstance(role.entry, model.AssumedRole)]
        for endpoint in {entry.endpoint for entry in assumed}:
            yield About("clock", urlsplit(endpoint).netloc), self._time_of(endpoint)
        for use, apps in plan.buckets.items():
            yield About("bucket", str(use), apps), self._unsigned(use, apps)
        for url, (use, apps) in {each.url: (each.use, apps) for each, apps in plan.domains.items()}.items():
            yield About("certificate", url, apps), certificate(asking, url, use.region, use.bucket, apps)
        for user, apps in plan.wechat.items():
            yield About("wechat", user.app_id, apps), wechat(asking, user, apps)
        if plan.callbacks:
            yield About("callback keys", ""), callback_keys(asking, server.callback_keys, plan.callbacks)
        for key, secret in (("limits", plan.registry.limits), ("server.callback_queue", server.callback_queue)):
            if secret is not None and secret.get_secret_value().startswith(SCHEMES):
                yield About("redis", key), answers(asking, key, secret.get_secret_value())

    def _metadata_entries(self) -> Mapping[str, dict[str, model.EcsRamRole]]:
        found: dict[str, dict[str, model.EcsRamRole]] = {}
        for name, role in self._plan.roles.items():
            if isinstance(role.entry, model.EcsRamRole):
                found.setdefault(role.entry.endpoint.rstrip("/"), {})[name] = role.entry
        return found

    async def _time_of(self, endpoint: str) -> list[Finding]:
        """What it answers to an empty question does not matter; the step `credential` tells when there is none."""
        with contextlib.suppress(NoAnswer):
            await self._asking.get(f"{endpoint}/", dated=True)
        return []

    async def _unsigned(self, use: BucketUse, apps: Ids) -> list[Finding]:
        found = await unsigned(self._oss, use, apps)
        if found is not None:
            self._unfit.add(use)
        return [] if found is None else [found]

    def _roles(self, no_role: set[str]) -> Steps:
        for name, role in self._plan.roles.items():
            apps = self._plan.role_apps[name]
            about = About("credential", name, apps)
            if wrong(self._asking) and isinstance(role.entry, model.AssumedRole):
                yield about, self._blocked_role(about, _CLOCK)
            elif name in no_role:
                yield about, self._blocked_role(about, "because the metadata service gives no such role")
            else:
                yield about, self._credential(name, apps)

    async def _blocked_role(self, about: About, because: str) -> Finding:
        self._blocked[about.subject] = because
        return about.not_checked(because)

    async def _credential(self, name: str, apps: Ids) -> Finding:
        found = await credential(self._tokens, self._plan.roles[name], apps)
        if found.verdict is Verdict.OK:
            self._credentials[name] = await self._tokens.fetched(name)
        else:
            self._blocked[name] = f"because credentials.{name} gives no token"
        return found

    def _buckets(self) -> Steps:
        for use, apps in self._plan.buckets.items():
            if use in self._unfit:
                continue
            about = About("bucket", str(use), apps)
            if (because := self._because(use)) is not None:
                yield about, _not_checked(about, f"{because}; a bucket of this name is there")
            else:
                yield about, self._signed(use, apps)

    async def _signed(self, use: BucketUse, apps: Ids) -> Finding:
        found = await signed(self._oss, use, apps, self._credentials[use.role])
        if found.verdict is Verdict.FAILED:
            self._unfit.add(use)
        return found

    def _because(self, use: BucketUse) -> str | None:
        """Why OSS cannot be asked with this role's token; None where it can."""
        if wrong(self._asking):
            return _CLOCK
        return None if use.role in self._credentials else self._blocked.get(use.role, "because there is no token")

    def _in_buckets(self, *, writing: bool) -> Steps:
        plan = self._plan
        for use, origins in plan.origins.items():
            apps = tuple(each for each in plan.buckets[use] if plan.registry.apps[each].cors_origins)
            about = About("cors", str(use), apps)
            if use in self._unfit:
                yield about, _not_checked(about, _UNFIT)
            else:
                held = None if self._because(use) is not None else self._credentials[use.role]
                yield about, cors(self._asking, self._oss, use, origins, apps, held)
        for each, apps in plan.domains.items():
            about = About("domain", str(each), apps)
            if each.use in self._unfit:
                yield about, _not_checked(about, _UNFIT)
            else:
                held = None if self._because(each.use) is not None else self._credentials[each.use.role]
                yield about, domain(self._asking, self._oss, each, apps, held)
        for prefix, apps in plan.prefixes.items() if writing else ():
            about = About("write", str(prefix), apps)
            if prefix.use in self._unfit:
                yield about, _not_checked(about, _UNFIT)
            elif (because := self._because(prefix.use)) is not None:
                yield about, _not_checked(about, because)
            else:
                yield about, self._write(about, prefix, apps)

    async def _write(self, about: About, prefix: PrefixUse, apps: Ids) -> Finding:
        own = self._credentials[prefix.use.role]
        try:
            narrow = own if prefix.role_key == prefix.use.role else await self._narrow_tokens.fetched(prefix.role_key)
        except FetchFailed as error:
            return about.failed(f"no token of its own: {error}", "see what the step credential says of scope: app")
        app = self._plan.registry.apps[apps[0]]
        return await write(self._oss, prefix, app, apps, narrow, None if narrow is own else own)


_UNFIT = "because the bucket is not as the definitions say"


async def _not_checked(about: About, because: str) -> Finding:
    return about.not_checked(because)
