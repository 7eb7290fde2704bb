"""Definitions with a role for each app, and the order in which a signer fetched their tokens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.harness.signer import Signer

REFRESHED = "credential refreshed"
FORM_SECONDS = 3.0
"""How long a request waits for a token at most."""
SLACK_SECONDS = 10.0
"""How much longer a busy machine may take for a response, far less than the minutes of a queue of fetches."""


def write_definitions(directory: Path, endpoints: Mapping[str, tuple[str, int]], *, timeout: str = "10s") -> Path:
    """Write a role of `scope: app` for each credentials entry, with its STS endpoint and number of apps."""
    credentials = "".join(
        f'  {name}: {{type: assume_role, scope: app, endpoint: "{endpoint}", timeout: {timeout}, '
        f'role_arn: "acs:ram::1234567890123456:role/{name}"}}\n'
        for name, (endpoint, _) in endpoints.items()
    )
    apps = "".join(
        f"  {name}{number}: {{credentials: {name}, key_prefix: {name}{number}/}}\n"
        for name, (_, count) in endpoints.items()
        for number in range(count)
    )
    file = directory / "signer.yaml"
    file.write_text(
        'version: 1\nserver: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}\n'
        f"credentials:\n{credentials}defaults: {{region: cn-hangzhou, bucket: photos}}\napps:\n{apps}",
        encoding="utf-8",
    )
    return file


def fetched_apps(running: Signer, *, since: int = 0) -> list[str]:
    """Return the apps whose tokens were fetched, in that order."""
    return [entry["role"].partition("/")[2] for entry in running.log(REFRESHED, since=since)]
