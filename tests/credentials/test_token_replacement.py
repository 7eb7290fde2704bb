"""Tokens that an operator or STS has declared invalid: who still gets them, and what replaces them. The clock is virtual.

Each fetch takes 0.1 s, and there is a request every 0.05 s.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest

from signer.credentials.keeper_pool import RoleSet
from signer.credentials.sources.assume_role import AssumeRoleSource, ChainedRoleSource
from signer.credentials.sources.sts_call import RoleRequest, Sts, StsRejected
from signer.errors import CredentialsUnavailable
from signer.signing.v4 import Credential
from tests.credentials.simulated_roles import (
    FORBIDDEN,
    UNREACHABLE,
    SimulatedRoles,
    SimulatedSts,
    names,
    now,
    simulated_roles,
)
from tests.harness.virtual_time import virtual_time


async def key_id(roles: RoleSet, role: str = "r") -> str:
    """Return the key id of the role's token, as a request gets it."""
    return (roles.current(role) or await roles.get(role)).access_key_id


async def key_ids(roles: SimulatedRoles, seconds: float) -> list[str]:
    """Request the token of a role for so long, and return the key ids of the responses."""
    found, ends_at = [], now() + seconds
    while now() < ends_at:
        found.append(await key_id(roles.roles))
        await asyncio.sleep(0.05)
    return found


@virtual_time
async def test_the_old_token_is_not_used_any_more_and_requests_wait_for_the_new_one() -> None:
    async with simulated_roles() as roles:
        roles.activate({"r": SimulatedSts()})
        assert await key_id(roles.roles) == "STS.1"
        outcomes, found = await asyncio.gather(roles.replace("r"), key_ids(roles, 1))
    assert outcomes == ["replaced"]
    assert found[0] == "STS.2"  # it waited
    assert set(found) == {"STS.2"}


@virtual_time
async def test_a_replacement_may_end_sooner() -> None:
    async with simulated_roles() as roles:
        roles.activate({"r": (sts := SimulatedSts())})
        await key_id(roles.roles)
        before = roles.roles.states()[0]
        sts.lifetime = timedelta(minutes=6)
        assert await roles.replace("r") == ["replaced"]
        after = roles.roles.states()[0]
        assert before.expires_at is not None and after.expires_at is not None
        assert after.expires_at < before.expires_at
        assert await key_id(roles.roles) == "STS.2"


@virtual_time
async def test_while_the_source_is_down_requests_wait_at_most_3_s_and_get_retry_after() -> None:
    async with simulated_roles() as roles:
        roles.activate({"r": (sts := SimulatedSts())})
        await key_id(roles.roles)
        sts.hangs = True
        replacing = asyncio.create_task(roles.replace("r"))
        await asyncio.sleep(0)
        answer = await roles.request("r")
        assert answer.waited_seconds == pytest.approx(3)
        assert answer.retry_after_seconds is not None
        assert await replacing == ["failed"]
        sts.hangs = False
        await asyncio.sleep(5)
        assert await key_id(roles.roles) == f"STS.{len(sts.calls)}"


@virtual_time
async def test_keep_uses_the_old_token_until_the_source_works_again() -> None:
    async with simulated_roles() as roles:
        roles.activate({"r": (sts := SimulatedSts())})
        await key_id(roles.roles)
        sts.error = UNREACHABLE
        outcomes, found = await asyncio.gather(roles.replace("r", keep=True), key_ids(roles, 2))
        assert (outcomes, set(found)) == (["failed"], {"STS.1"})
        sts.error, sts.lifetime = None, timedelta(minutes=6)
        await asyncio.sleep(60)
        assert await key_id(roles.roles) != "STS.1"


@virtual_time
async def test_a_fetch_that_started_before_the_request_does_not_count() -> None:
    """It may return a token that was revoked as well."""
    async with simulated_roles() as roles:
        roles.activate({"r": SimulatedSts(latency_seconds=2)})
        first = asyncio.create_task(key_id(roles.roles))
        await asyncio.sleep(1)
        replacing = asyncio.create_task(roles.replace("r"))
        with pytest.raises(CredentialsUnavailable):  # 2 s of the first fetch, and then 2 s of the second one
            await first
        assert await replacing == ["replaced"]
        assert now() == pytest.approx(4)
        assert await key_id(roles.roles) == "STS.2"


@virtual_time
async def test_requests_at_once_share_a_fetch_and_later_ones_get_another() -> None:
    async with simulated_roles() as roles:
        roles.activate({"r": (sts := SimulatedSts())})
        await key_id(roles.roles)
        assert await asyncio.gather(*(roles.replace("r") for _ in range(5))) == [["replaced"]] * 5
        assert len(sts.calls) == 2
        first = asyncio.create_task(roles.replace("r"))
        await asyncio.sleep(0.15)
        assert await roles.replace("r") == await first == ["replaced"]
        assert await key_id(roles.roles) == f"STS.{len(sts.calls)}"


@virtual_time
async def test_a_role_that_a_reload_removes_meanwhile_ends_the_wait() -> None:
    async with simulated_roles() as roles:
        roles.activate({"r": (sts := SimulatedSts()), "other": sts})
        await key_id(roles.roles)
        sts.hangs = True
        replacing = asyncio.create_task(roles.replace("r"))
        await asyncio.sleep(0.1)
        roles.activate({"other": sts})
        assert await replacing == ["removed"]
        assert await roles.replace("r") == []


@virtual_time
async def test_the_roles_that_a_reload_in_progress_adds_are_included() -> None:
    """Their first fetch may have started before the tokens were revoked."""
    async with simulated_roles() as roles:
        roles.activate({"old": (sts := SimulatedSts())})
        prepared = roles.prepare({"new": sts, "old": sts})
        await prepared.get("new")
        before = await key_id(prepared, "new")
        assert await roles.replace() == ["replaced", "replaced"]
        roles.pool.activate(prepared)
        assert await key_id(prepared, "new") != before


@virtual_time
async def test_a_slow_source_is_reported_as_waiting_and_continues() -> None:
    async with simulated_roles() as roles:
        roles.activate({"r": (sts := SimulatedSts())})
        await key_id(roles.roles)
        sts.latency_seconds = 9
        assert await roles.replace("r", timeout_seconds=5) == ["waiting"]
        await asyncio.sleep(5)
        assert await key_id(roles.roles) == "STS.2"


@virtual_time
async def test_a_token_that_the_source_returns_again_is_used_again() -> None:
    """The metadata service returns the same token until it rotates it; without it, the app would be down for hours."""
    async with simulated_roles() as roles:
        roles.activate({"r": (sts := SimulatedSts())})
        token = await roles.roles.get("r")
        sts.reissued = token
        assert await roles.replace("r") == ["unchanged"]
        assert roles.roles.current("r") == token
        sts.reissued = None
        assert await roles.replace("r") == ["replaced"]


@virtual_time
async def test_a_request_is_served_before_the_next_retry() -> None:
    async with simulated_roles() as roles:
        roles.activate({"r": (sts := SimulatedSts(error=FORBIDDEN))})
        await asyncio.sleep(300)
        sts.error = None
        calls = len(sts.calls)
        assert await roles.replace("r") == ["replaced"]
        assert len(sts.calls) == calls + 1


@virtual_time
async def test_requests_wait_for_a_replacement_even_if_earlier_fetches_failed() -> None:
    """Refreshes failed for a while, the source works again, and then the old token is revoked."""
    async with simulated_roles() as roles:
        roles.activate({"r": (sts := SimulatedSts())})
        await key_id(roles.roles)
        sts.error = UNREACHABLE
        await asyncio.sleep(900)
        assert roles.roles.states()[0].circuit_open and roles.roles.current("r") is not None
        sts.error = None
        replacing = asyncio.create_task(roles.replace("r"))
        await asyncio.sleep(0)
        assert await key_id(roles.roles) == f"STS.{len(sts.calls)}"
        assert await replacing == ["replaced"]


@virtual_time
async def test_all_roles_are_replaced_those_in_demand_first() -> None:
    async with simulated_roles() as roles:
        roles.activate(dict.fromkeys(names(300), sts := SimulatedSts()))
        await asyncio.sleep(60)
        for _ in range(10):
            await roles.request("r250")
        sts.calls.clear()
        assert set(await roles.replace(timeout_seconds=60)) == {"replaced"}
        assert "r250" in sts.roles[:2]  # the first fetch starts at once
        assert len(sts.roles) == 300


@virtual_time
async def test_a_role_that_no_request_needs_is_replaced_before_those_that_wait() -> None:
    """300 roles without requests need 10 s; one of them is queued, and the other has a token."""
    async with simulated_roles() as roles:
        roles.activate({"old": (sts := SimulatedSts())})
        await asyncio.sleep(1)
        roles.activate(dict.fromkeys(["old", *names(300)], sts))
        started_at = now()
        outcomes = await asyncio.gather(roles.replace("r299"), roles.replace("old"))
        assert [*outcomes] == [["replaced"], ["replaced"]]
        assert now() - started_at < 1


@virtual_time
async def test_a_name_includes_the_roles_of_its_apps() -> None:
    async with simulated_roles() as roles:
        roles.activate(dict.fromkeys(("partner/a", "partner/b", "partner2", "other"), SimulatedSts()))
        await asyncio.sleep(1)
        replaced = await roles.pool.replace_tokens("partner", keep=False, timeout_seconds=10)
        assert [each.role for each in replaced] == ["partner/a", "partner/b"]
        [one] = await roles.pool.replace_tokens("partner/b", keep=False, timeout_seconds=10)
        assert one.role == "partner/b"


@dataclass
class RejectingSts:
    """Accepts the tokens of the base role, or rejects them as revoked."""

    code: str | None = None
    accepted: list[str] = field(default_factory=list)

    async def issue(self, _call: object, key: Credential) -> Credential:
        if self.code is not None:
            raise StsRejected(self.code, "id")
        self.accepted.append(key.access_key_id)
        return key

    def source(self, credentials: RoleSet) -> AssumeRoleSource:
        """Return a source that assumes a role with the role `r`."""
        request = RoleRequest("acs:ram::1:role/x", "session", timedelta(hours=1))
        return AssumeRoleSource(cast("Sts", cast("Any", self)), request, None, ChainedRoleSource("r", credentials))


@virtual_time
async def test_a_token_that_sts_rejects_is_discarded() -> None:
    async with simulated_roles() as roles:
        roles.activate({"r": (base := SimulatedSts())})
        source = (sts := RejectingSts()).source(roles.roles)
        await source.fetch()
        sts.code, base.lifetime = "InvalidSecurityToken.Expired", timedelta(minutes=6)
        with pytest.raises(StsRejected):
            await source.fetch()
        assert roles.roles.current("r") is None
        sts.code = None
        await source.fetch()
        assert sts.accepted == ["STS.1", "STS.2"]


@virtual_time
async def test_a_rejection_of_an_earlier_token_changes_nothing() -> None:
    """Another role was being assumed with it while it was replaced."""
    async with simulated_roles() as roles:
        roles.activate({"r": (base := SimulatedSts())})
        earlier = await roles.roles.get("r")
        await roles.replace("r")
        roles.roles.reject("r", earlier, keep=False)
        assert await key_id(roles.roles) == "STS.2"
        await asyncio.sleep(1)
        assert len(base.calls) == 2


@virtual_time
async def test_other_errors_of_sts_discard_no_token() -> None:
    async with simulated_roles() as roles:
        roles.activate({"r": SimulatedSts()})
        source = (sts := RejectingSts()).source(roles.roles)
        await source.fetch()
        sts.code = "NoPermission"
        with pytest.raises(StsRejected):
            await source.fetch()
        assert await key_id(roles.roles) == "STS.1"


@virtual_time
async def test_an_endpoint_that_never_accepted_a_token_discards_none() -> None:
    """It may be the wrong endpoint, and the apps of the base role must not suffer from that."""
    async with simulated_roles() as roles:
        roles.activate({"r": (base := SimulatedSts())})
        token = await roles.roles.get("r")
        source = RejectingSts("InvalidAccessKeyId.NotFound").source(roles.roles)
        base.error = UNREACHABLE
        with pytest.raises(StsRejected):
            await source.fetch()
        assert roles.roles.current("r") == token
        await asyncio.sleep(1)
        assert len(base.calls) > 1


@virtual_time
async def test_a_rejected_token_that_its_source_returns_again_is_discarded_once() -> None:
    async with simulated_roles() as roles:
        roles.activate({"r": (base := SimulatedSts())})
        source = (sts := RejectingSts()).source(roles.roles)
        await source.fetch()
        base.reissued = roles.roles.current("r")
        sts.code = "InvalidSecurityToken.Malformed"
        for is_discarded in (True, False):
            with pytest.raises(StsRejected):
                await source.fetch()
            assert (roles.roles.current("r") is None) is is_discarded
            await asyncio.sleep(1)
