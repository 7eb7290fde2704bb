"""Run every step of `doctor` that the definitions call for."""

from __future__ import annotations

import asyncio

from signer.credentials.sdk_thread import SdkThread
from signer.definitions.suggestions import KnownNames, printable_name
from signer.doctor.checkup import Checkup
from signer.doctor.findings import About, Finding, in_order
from signer.doctor.http_probe import Asking
from signer.doctor.oss_probe import Endpoint
from signer.doctor.plan import plan
from signer.doctor.steps.definitions import read
from signer.environment import Environment


async def diagnose(
    address: str,
    environment: Environment,
    *,
    app_id: str | None,
    timeout_seconds: float,
    oss_endpoint: str,
    writing: bool,
) -> list[Finding]:
    """Return the findings of all steps, in order.

    Args:
        address: the store of the definitions.
        app_id: the app to check; None checks all of them.
        timeout_seconds: how long to wait for each response.
        oss_endpoint: a URL with or without `{region}`.
        writing: whether to upload an empty object below each prefix.
    """
    found = await read(address, environment)
    findings, registry = found.findings, found.registry
    if registry is None:
        skipped = About("credential", "").not_checked("nor anything else: because there are no definitions to go by")
        return in_order([*findings, skipped])
    try:
        planned = await asyncio.to_thread(plan, registry, app_id)
    except KeyError:
        suggestion = KnownNames(registry.apps).suggestion(str(app_id))
        unknown = About("definitions", f"--app {printable_name(str(app_id))}").failed(
            "there is no such app", suggestion
        )
        return in_order([*findings, unknown])
    async with Asking.open(timeout_seconds) as probe:
        sdk = SdkThread(probe.observe)
        checkup = Checkup(planned, probe, sdk, environment, Endpoint(oss_endpoint))
        try:
            return in_order(findings + await checkup.run(writing=writing))
        finally:
            await checkup.close()
            sdk.close()
