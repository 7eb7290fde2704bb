"""Runs every step of `doctor` that the definitions need."""

from __future__ import annotations

import asyncio

from signer.credentials.sdk_thread import SdkThread
from signer.definitions.redaction import printable_name
from signer.definitions.suggestions import KnownNames
from signer.doctor.checkup import Checkup
from signer.doctor.findings import Finding, Subject, sort_findings
from signer.doctor.http_probe import HttpProbe
from signer.doctor.oss_probe import OssEndpoint
from signer.doctor.plan import make_plan
from signer.doctor.steps.definitions import check_definitions
from signer.environment import Environment


async def diagnose(
    address: str,
    environment: Environment,
    *,
    app_id: str | None,
    timeout_seconds: float,
    oss_endpoint: str,
    write: bool,
) -> list[Finding]:
    """Return the findings of all steps, in order: for the definitions at `address`, or for one app of them."""
    registry, found = await check_definitions(address, environment)
    if registry is None:
        skipped = Subject("credential", "").not_checked("because there are no usable definitions")
        return sort_findings([*found, skipped])
    try:
        plan = await asyncio.to_thread(make_plan, registry, app_id)
    except KeyError:
        name = str(app_id)
        subject = Subject("definitions", f"--app {printable_name(name)}")
        unknown = subject.failed("there is no such app", KnownNames(registry.apps).suggestion(name))
        return sort_findings([*found, unknown])
    async with HttpProbe.open(timeout_seconds) as http:
        sdk = SdkThread(http.observe)
        checkup = Checkup(plan, http, sdk, environment, OssEndpoint(oss_endpoint))
        try:
            return sort_findings(found + await checkup.run(write=write))
        finally:
            await checkup.close()
            sdk.close()
