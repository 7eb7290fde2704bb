"""Secrets of the definitions, the environment and files are shown nowhere, whatever the edit."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.revisions import logged_changes
from tests.harness.files import write
from tests.harness.signer import LOCAL_ENVIRON, Signer, run_command, signer

ENVIRON = {**LOCAL_ENVIRON, "PLANTED_KEY": "plAnted-by-environment", "PLANTED_TOKEN": "plAnted-token"}
PLANTED = "plAnted"
"""A part of every secret, and of nothing else."""


def definitions(directory: Path, plain_secret: str, app: str = "") -> str:
    return f"""\
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials:
  plain_secret: {{type: static, access_key_id: LTAI-plain_secret, access_key_secret: {PLANTED}-{plain_secret}, security_token: {PLANTED}}}
  environment: {{type: static, access_key_id: LTAI-env, access_key_secret: "${{PLANTED_KEY}}"}}
  file: {{type: static, access_key_id: LTAI-file, access_key_secret: "${{file:{directory}/planted}}"}}
  default: {{type: static, access_key_id: LTAI-default, access_key_secret: "${{UNSET:-{PLANTED}-default}}"}}
  partly: {{type: static, access_key_id: LTAI-partly, access_key_secret: "{PLANTED}-half-${{PLANTED_KEY}}"}}
  assumed:
    type: assume_role
    endpoint: http://127.0.0.1:1
    access_key_id: LTAI-assumed
    access_key_secret: {PLANTED}-{plain_secret}-assumed
defaults: {{key_prefix: '', bucket: photos, region: cn-hangzhou, credentials: plain_secret}}
apps:
  a: {{key_prefix: "{plain_secret}/"}}
{app}"""


async def all_pages(running: Signer) -> list[str]:
    texts = []
    for path in ("/status", "/-/definitions", "/readyz", "/metrics"):
        for accept in ("application/json", "text/html"):
            async with running.session.get(running.admin + path, headers={"Accept": accept}) as response:
                texts.append(await response.text())
    return texts


@pytest.mark.parametrize("step", ["good edit", "secret under a misspelt key", "secret is a list", "no YAML"])
async def test_no_page_log_or_response_contains_a_secret(
    step: str, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    write(tmp_path / "planted", f"{PLANTED}-by-file\n")
    write(config := tmp_path / "signer.yaml", former := definitions(tmp_path, "one"))
    async with signer(session, config, environ=ENVIRON) as running:
        assert (await running.upload_form("a"))["fields"]["x-oss-credential"].startswith("LTAI-plain_secret/")
        edited = {
            "good edit": definitions(tmp_path, "two", "  b: {credentials: assumed}\n"),
            "secret under a misspelt key": former.replace(
                f"access_key_secret: {PLANTED}-one", f"acess_key_secret: {PLANTED}-one"
            ),
            "secret is a list": former.replace(f"{PLANTED}-one,", f"[{PLANTED}-one],"),
            "no YAML": former.replace(f"{PLANTED}-one,", f"'{PLANTED}-one,"),
        }[step]
        write(candidate := tmp_path / "candidate.yaml", edited)
        checked = await run_command("check", "--config", candidate, "--diff", running.admin, environ=ENVIRON)
        candidate.replace(config)
        status, outcome = await running.reload()
        assert status == (200 if step == "good edit" else 422)
        shown = [json.dumps(outcome), *await all_pages(running), checked.out, checked.err]
    for text in [*shown, *running.output]:
        assert PLANTED not in text
    if step == "good edit":
        change = "~ apps.a: key_prefix one/ -> two/"
        assert change in checked.out.splitlines()
        assert any(change in json.loads(line).get("changes", []) for line in running.output)
        assert "${PLANTED_KEY}" in "".join(shown)
    else:
        assert outcome["mistakes"]


async def test_a_changed_secret_is_reported_as_a_change(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """Both values are masked, so that the change has to be reported by other means."""
    write(tmp_path / "planted", f"{PLANTED}-by-file\n")
    write(config := tmp_path / "signer.yaml", former := definitions(tmp_path, "one"))
    async with signer(session, config, environ=ENVIRON) as running:
        edited = former.replace(f"{PLANTED}-one,", f"{PLANTED}-other,")
        assert await logged_changes(running, config, edited) == [
            "~ credentials.plain_secret: access_key_secret *** has another value"
        ]
