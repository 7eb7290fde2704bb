"""Secrets that stand in the definitions, in the environment and in files are shown nowhere, whatever an edit does."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.reloading import changes_by, write
from tests.harness.signer import LOCAL_ENVIRON, Signer, run_command, signer

ENVIRON = {**LOCAL_ENVIRON, "PLANTED_KEY": "plAnted-by-environment", "PLANTED_TOKEN": "plAnted-token"}
PLANTED = "plAnted"
"""Part of each secret, and of nothing else."""


def definitions(directory: Path, clear: str, app: str = "") -> str:
    return f"""\
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials:
  clear: {{type: static, access_key_id: LTAI-clear, access_key_secret: {PLANTED}-{clear}, security_token: {PLANTED}}}
  environment: {{type: static, access_key_id: LTAI-env, access_key_secret: "${{PLANTED_KEY}}"}}
  file: {{type: static, access_key_id: LTAI-file, access_key_secret: "${{file:{directory}/planted}}"}}
  default: {{type: static, access_key_id: LTAI-default, access_key_secret: "${{UNSET:-{PLANTED}-default}}"}}
  partly: {{type: static, access_key_id: LTAI-partly, access_key_secret: "{PLANTED}-half-${{PLANTED_KEY}}"}}
  assumed:
    type: assume_role
    endpoint: http://127.0.0.1:1
    access_key_id: LTAI-assumed
    access_key_secret: {PLANTED}-{clear}-assumed
defaults: {{bucket: photos, region: cn-hangzhou, credentials: clear}}
apps:
  a: {{key_prefix: "{clear}/"}}
{app}"""


async def pages(running: Signer) -> list[str]:
    texts = []
    for path in ("/status", "/-/definitions", "/readyz", "/metrics"):
        for accept in ("application/json", "text/html"):
            async with running.session.get(running.admin + path, headers={"Accept": accept}) as answer:
                texts.append(await answer.text())
    return texts


@pytest.mark.parametrize("step", ["good edit", "secret under a misspelt key", "secret is a list", "no YAML"])
async def test_no_page_log_or_answer_holds_a_secret(step: str, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    write(tmp_path / "planted", f"{PLANTED}-by-file\n")
    write(config := tmp_path / "signer.yaml", former := definitions(tmp_path, "one"))
    async with signer(session, config, environ=ENVIRON) as running:
        assert (await running.upload_form("a"))["fields"]["x-oss-credential"].startswith("LTAI-clear/")
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
        shown = [json.dumps(outcome), *await pages(running), checked.out, checked.err]
    for text in [*shown, *running.output]:
        assert PLANTED not in text
    if step == "good edit":
        change = "~ apps.a: key_prefix one/ -> two/"
        assert change in checked.out.splitlines()
        assert any(change in json.loads(line).get("changes", []) for line in running.output)
        assert "${PLANTED_KEY}" in "".join(shown)
    else:
        assert outcome["mistakes"]


async def test_a_new_secret_is_a_change_that_is_told(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """Masked on both sides, it would look like none."""
    write(tmp_path / "planted", f"{PLANTED}-by-file\n")
    write(config := tmp_path / "signer.yaml", former := definitions(tmp_path, "one"))
    async with signer(session, config, environ=ENVIRON) as running:
        edited = former.replace(f"{PLANTED}-one,", f"{PLANTED}-other,")
        assert await changes_by(running, config, edited) == [
            "~ credentials.clear: access_key_secret *** has another value"
        ]
