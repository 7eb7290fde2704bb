"""The command `doctor`: reads the definitions, runs all steps and tells what they found."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys

from signer.credentials.sdk_thread import SdkThread
from signer.definitions.suggestions import KnownNames, printable_name
from signer.doctor.checkup import Checkup
from signer.doctor.findings import About, Finding, in_order
from signer.doctor.http_probe import Asking
from signer.doctor.oss_probe import Endpoint
from signer.doctor.plan import plan
from signer.doctor.report import any_failed, as_json, as_text
from signer.doctor.steps.definitions import read
from signer.environment import Environment


async def run(options: argparse.Namespace) -> int:
    """Status 0 when nothing failed, warnings or not, else 1."""
    # What the service would log, the steps tell.
    logging.getLogger("oss_signer").setLevel(logging.CRITICAL + 1)
    found = in_order(await _findings(options))
    sys.stdout.write(as_json(found) if options.json else as_text(found))
    return 1 if any_failed(found) else 0


async def _findings(options: argparse.Namespace) -> list[Finding]:
    environment = Environment(os.environ, options.env_file)
    read_definitions = await read(options.config, environment)
    found, registry = read_definitions.findings, read_definitions.registry
    if registry is None:
        return [
            *found,
            About("credential", "").not_checked("nor anything else: because there are no definitions to go by"),
        ]
    try:
        planned = await asyncio.to_thread(plan, registry, options.app)
    except KeyError:
        mend = KnownNames(registry.apps).suggestion(options.app)
        return [
            *found,
            About("definitions", f"--app {printable_name(options.app)}").failed("there is no such app", mend),
        ]
    async with Asking.open(options.timeout) as asking:
        sdk = SdkThread(asking.observe)
        checkup = Checkup(planned, asking, sdk, environment, Endpoint(options.oss_endpoint))
        try:
            return found + await checkup.run(writing=options.write)
        finally:
            await checkup.close()
            sdk.close()
