"""A gentle load that verifies every response by docs/http.md, and every form by uploading with it to the local cloud.

A form is used twice: at once, and in the last second of its lifetime, when OSS shows whether its token is valid as long.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from tests.harness.fast_clock import FastClock
from tests.harness.local_cloud import Cloud
from tests.harness.oss_upload import decode_policy, post_object
from tests.harness.signer import Signer
from tests.harness.waiting import deadline

PAUSE_SECONDS = 0.3
"""Between two requests for one app, by the machine's clock."""
EXPIRED = ("Policy expired", "SecurityTokenExpired")
UNKNOWN_TOKEN = "0002-00000006"
"""The EC of OSS for an unknown AccessKey id and token."""
_SECOND = timedelta(seconds=1)
_ATTEMPTS = 100


@dataclass(frozen=True, slots=True)
class Form:
    """A form and the app that it is for."""

    app: str
    url: str
    fields: dict[str, str]
    expires_at: datetime

    @property
    def key_id(self) -> str:
        """The AccessKey id that signed it."""
        return self.fields["x-oss-credential"].partition("/")[0]


class VerifiedLoad:
    """Sets faults and verifies responses; `violations` describes what is wrong, `counts` counts the outcomes."""

    def __init__(
        self,
        cloud: Cloud,
        signer: Signer,
        clock: FastClock,
        *,
        token_owners: Mapping[str, str],
        shortest: timedelta,
        longest: timedelta,
    ) -> None:
        """Create a load that has not started.

        Args:
            token_owners: For each app, what its tokens belong to: apps of one owner share tokens, others never do.
            shortest: The shortest lifetime of a form.
            longest: The longest lifetime of a form.
        """
        self.violations: list[str] = []
        self.counts: Counter[str] = Counter()
        self.security_tokens: set[str] = set()
        self._cloud, self._signer, self._clock, self._token_owners = cloud, signer, clock, token_owners
        self._shortest, self._longest = shortest, longest
        self._faults: dict[str, Any] = {}
        self._last_forms: dict[str, Form] = {}
        self._accepted_keys: set[str] = set()
        """The AccessKey ids that OSS has accepted since tokens were last revoked."""
        self._revoked_until = datetime.min.replace(tzinfo=UTC)
        self._owners: dict[str, str] = {}

    async def set_faults(self, **faults: Any) -> None:
        """Replace the faults of the local cloud."""
        await self._cloud.set_faults(**faults)
        self._faults = faults

    async def revoke_tokens(self, server: str, longest_lifetime: timedelta) -> None:
        """Revoke all tokens once; the signer may use the ones that it has cached for as long as they live."""
        await self.verify_last_moments()
        self._accepted_keys.clear()
        await self.set_faults(**{server: {"kind": "revoked"}})
        # The fault happens whenever it is set, so it must not stay among the faults.
        await self.set_faults()
        self._revoked_until = self._clock.now() + longest_lifetime

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Request and use forms for every app until the end of the block."""
        stop = asyncio.Event()

        async def keep_requesting(app: str) -> None:
            while not stop.is_set():
                await self.request_and_upload(app)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), PAUSE_SECONDS)

        async with asyncio.TaskGroup() as group:
            for app in self._token_owners:
                group.create_task(keep_requesting(app))
            try:
                yield
            finally:
                stop.set()

    async def request_and_upload(self, app: str) -> str:
        """Request a form and use it at once.

        Returns:
            "accepted" or "refused" by OSS, "unavailable", "late" or "violation".
        """
        form = await self.request_form(app)
        outcome = form if isinstance(form, str) else await self.upload(form)
        self.counts[f"{app} {outcome}"] += 1
        return outcome

    async def request_form(self, app: str) -> Form | str:
        """Return a form, "unavailable" or "violation"."""
        url = f"{self._signer.public}/v1/apps/{app}/uploads"
        try:
            async with deadline(), self._signer.session.post(url, json={"filename": "a.jpg"}) as response:
                status, headers = response.status, response.headers
                body = await response.json(content_type=None)
        except (aiohttp.ClientError, ValueError, TimeoutError) as error:
            return self._violation(f"{app}: no response: {error!r}")
        if status == 503:
            retry_after = headers.get("Retry-After", "")
            if re.fullmatch("[1-9][0-9]*", retry_after) and body.get("code") == "credentials_unavailable":
                return "unavailable"
        if status != 201:
            return self._violation(f"{app}: {status}, Retry-After {headers.get('Retry-After')}, {body}")
        return Form(app, body["url"], body["fields"], datetime.fromisoformat(body["expires_at"]))

    async def upload(self, form: Form) -> str:
        """Use a form: "accepted", "refused", "late" when it was used after its end, or "violation"."""
        self.security_tokens.add(form.fields["x-oss-security-token"])
        if datetime.fromisoformat(decode_policy(form.fields["policy"])["expiration"]) != form.expires_at:
            return self._violation(f"{form.app}: expires_at {form.expires_at} differs from the policy")
        signed_at = datetime.strptime(form.fields["x-oss-date"] + "+0000", "%Y%m%dT%H%M%SZ%z")
        if not self._shortest - _SECOND <= form.expires_at - signed_at <= self._longest:
            return self._violation(f"{form.app}: signed at {signed_at} until {form.expires_at}")
        owner = self._owners.setdefault(form.key_id, self._token_owners[form.app])
        if owner != self._token_owners[form.app]:
            return self._violation(f"{form.app}: signed with a token of {owner}")
        status, text, date = await self._post(form)
        if status == 200:
            self._accepted_keys.add(form.key_id)
            last = self._last_forms.setdefault(form.key_id, form)
            if form.expires_at > last.expires_at:
                self._last_forms[form.key_id] = form
            return "accepted"
        if any(code in text for code in EXPIRED) and date >= form.expires_at:
            return "late"
        if UNKNOWN_TOKEN in text and form.key_id not in self._accepted_keys and date <= self._revoked_until:
            return "refused"
        return self._violation(f"{form.app}: OSS at {date} on a form until {form.expires_at}: {status} {text}")

    async def _post(self, form: Form) -> tuple[int, str, datetime]:
        async with deadline():
            status, text, headers = await post_object(self._signer.session, form.url, form.fields, b"x", "a.jpg")
        return status, text, parsedate_to_datetime(headers["Date"])

    async def verify_last_moments(self) -> None:
        """Use the last form of each token in the form's last second, by OSS's clock; not while the load runs."""
        try:
            while self._last_forms:
                _, form = self._last_forms.popitem()
                await self._verify_last_moment(form)
        finally:
            await self._cloud.set_faults(**self._faults)

    async def _verify_last_moment(self, form: Form) -> None:
        lead = _SECOND / 2
        last_second = form.expires_at - _SECOND
        for _ in range(_ATTEMPTS):
            offset = form.expires_at - lead - self._clock.now()
            fault = {"kind": "clock", "offset_seconds": offset.total_seconds()}
            await self._cloud.set_faults(**{**self._faults, "oss": fault})
            status, text, date = await self._post(form)
            if status != 200 and date < form.expires_at:
                self._violation(f"{form.app}: OSS at {date} on a form until {form.expires_at}: {status} {text}")
                return
            if date == last_second:
                self.counts["last moments"] += 1
                return
            lead += (date - last_second) / 2
        # A machine that is too busy to meet one second proves nothing about the form.

    def _violation(self, description: str) -> str:
        self.violations.append(description)
        return "violation"
