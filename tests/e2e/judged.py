"""A gentle load of which every response is judged: by docs/http.md, and each form by the local cloud's OSS.

A form is used twice: at once, and in the last second of its life, when OSS says whether its token lives as long.
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
from tests.harness.waiting import DEADLINE_SECONDS

PAUSE_SECONDS = 0.3
"""Of our own time, between two requests for one app."""
EXPIRED = ("Policy expired", "SecurityTokenExpired")
UNKNOWN_TOKEN = "0002-00000006"
"""OSS knows neither the AccessKey id nor the token: both are gone."""
_SECOND = timedelta(seconds=1)
_TRIES = 100


@dataclass(frozen=True, slots=True)
class Form:
    app: str
    url: str
    fields: dict[str, str]
    expires_at: datetime

    @property
    def key_id(self) -> str:
        return self.fields["x-oss-credential"].partition("/")[0]


class Judged:
    """Faults are set through it. What it finds wrong is in `wrong`; what it has seen is counted in `seen`."""

    def __init__(
        self,
        cloud: Cloud,
        signer: Signer,
        clock: FastClock,
        *,
        roles: Mapping[str, str],
        shortest: timedelta,
        longest: timedelta,
    ) -> None:
        """`roles` names for each app what signs for it: apps of one name share tokens, others never do.

        Forms live from `shortest` to `longest`.
        """
        self.wrong: list[str] = []
        self.seen: Counter[str] = Counter()
        self.security_tokens: set[str] = set()
        self._cloud, self._signer, self._clock, self._roles = cloud, signer, clock, roles
        self._shortest, self._longest = shortest, longest
        self._faults: dict[str, Any] = {}
        self._last_forms: dict[str, Form] = {}
        self._good: set[str] = set()
        """The keys that OSS has accepted since tokens were last revoked."""
        self._excused_until = datetime.min.replace(tzinfo=UTC)
        self._owners: dict[str, str] = {}

    async def set_faults(self, **faults: Any) -> None:
        await self._cloud.set_faults(**faults)
        self._faults = faults

    async def revoke(self, server: str, longest_life: timedelta) -> None:
        """Sets the fault `revoked` once; the signer may sign with what it then held for as long as that lives."""
        await self.judge_last_moments()
        self._good.clear()
        await self.set_faults(**{server: {"kind": "revoked"}})
        # It happens whenever it is set, so it must not be set again with others.
        await self.set_faults()
        self._excused_until = self._clock.now() + longest_life

    @contextlib.asynccontextmanager
    async def load(self) -> AsyncIterator[None]:
        """Asks for every app, over and over, while the block runs."""
        stop = asyncio.Event()

        async def go_on(app: str) -> None:
            while not stop.is_set():
                await self.ask(app)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), PAUSE_SECONDS)

        async with asyncio.TaskGroup() as group:
            for app in self._roles:
                group.create_task(go_on(app))
            try:
                yield
            finally:
                stop.set()

    async def ask(self, app: str) -> str:
        """One form, asked for and used at once: "accepted", "refused" by OSS, "unavailable", "late" or "wrong"."""
        form = await self.form(app)
        outcome = form if isinstance(form, str) else await self.judge(form)
        self.seen[f"{app} {outcome}"] += 1
        return outcome

    async def form(self, app: str) -> Form | str:
        """A form, or "unavailable" or "wrong"."""
        url = f"{self._signer.public}/v1/apps/{app}/uploads"
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                async with self._signer.session.post(url, json={"filename": "a.jpg"}) as response:
                    status, headers = response.status, response.headers
                    body = await response.json(content_type=None)
        except (aiohttp.ClientError, ValueError, TimeoutError) as error:
            return self._note(f"{app}: no response: {error!r}")
        if status == 503:
            retry_after = headers.get("Retry-After", "")
            if re.fullmatch("[1-9][0-9]*", retry_after) and body.get("code") == "credentials_unavailable":
                return "unavailable"
        if status != 201:
            return self._note(f"{app}: {status}, Retry-After {headers.get('Retry-After')}, {body}")
        return Form(app, body["url"], body["fields"], datetime.fromisoformat(body["expires_at"]))

    async def judge(self, form: Form) -> str:
        """Uses it: "accepted", "refused", "late" when it came to OSS after its end, or "wrong"."""
        self.security_tokens.add(form.fields["x-oss-security-token"])
        if datetime.fromisoformat(decode_policy(form.fields["policy"])["expiration"]) != form.expires_at:
            return self._note(f"{form.app}: expires_at {form.expires_at} is not what the policy says")
        signed_at = datetime.strptime(form.fields["x-oss-date"] + "+0000", "%Y%m%dT%H%M%SZ%z")
        if not self._shortest - _SECOND <= form.expires_at - signed_at <= self._longest:
            return self._note(f"{form.app}: signed at {signed_at} until {form.expires_at}")
        owner = self._owners.setdefault(form.key_id, self._roles[form.app])
        if owner != self._roles[form.app]:
            return self._note(f"{form.app}: signed with a token of {owner}")
        status, text, date = await self._upload(form)
        if status == 200:
            self._good.add(form.key_id)
            known = self._last_forms.setdefault(form.key_id, form)
            if form.expires_at > known.expires_at:
                self._last_forms[form.key_id] = form
            return "accepted"
        if any(code in text for code in EXPIRED) and date >= form.expires_at:
            return "late"
        if UNKNOWN_TOKEN in text and form.key_id not in self._good and date <= self._excused_until:
            return "refused"
        return self._note(f"{form.app}: OSS at {date} on a form that ends {form.expires_at}: {status} {text}")

    async def _upload(self, form: Form) -> tuple[int, str, datetime]:
        async with asyncio.timeout(DEADLINE_SECONDS):
            status, text, headers = await post_object(self._signer.session, form.url, form.fields, b"x", "a.jpg")
        return status, text, parsedate_to_datetime(headers["Date"])

    async def judge_last_moments(self) -> None:
        """Uses the last form of each token in the form's last second, by OSS's clock. Not during `load`."""
        try:
            while self._last_forms:
                _, form = self._last_forms.popitem()
                await self._judge_last_moment(form)
        finally:
            await self._cloud.set_faults(**self._faults)

    async def _judge_last_moment(self, form: Form) -> None:
        lead = _SECOND / 2
        last_second = form.expires_at - _SECOND
        for _ in range(_TRIES):
            offset = form.expires_at - lead - self._clock.now()
            fault = {"kind": "clock", "offset_seconds": offset.total_seconds()}
            await self._cloud.set_faults(**{**self._faults, "oss": fault})
            status, text, date = await self._upload(form)
            if status != 200 and date < form.expires_at:
                self._note(f"{form.app}: OSS at {date} on a form that ends {form.expires_at}: {status} {text}")
                return
            if date == last_second:
                self.seen["last moments"] += 1
                return
            lead += (date - last_second) / 2
        self._note(f"{form.app}: its form met no last second in {_TRIES} tries")

    def _note(self, what: str) -> str:
        self.wrong.append(what)
        return "wrong"
