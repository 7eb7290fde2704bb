"""The command line, as processes."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from signer.listen_address import ListenAddress
from signer.server.sockets import listening_socket
from tests.harness.local_cloud import Cloud
from tests.harness.processes import ROOT
from tests.harness.signer import LOCAL_ENVIRON, run_command

BROKEN = """\
version: 1
credentials: {r: {type: ecs_ram_role}}
apps:
  a:
    bucket: photos
    region: oss-cn-hangzhou
    credentails: r
"""


@pytest.mark.parametrize("command", ["check", "serve"])
async def test_a_mistake_is_reported_with_its_place_and_fix(command: str, tmp_path: Path) -> None:
    config = tmp_path / "signer.yaml"
    config.write_text(BROKEN, encoding="utf-8")
    result = await run_command(command, "--config", config)
    assert (result.status, result.out) == (1, "")
    lines = result.err.splitlines()
    if command == "serve":
        last = json.loads(lines.pop())
        assert (last["message"], last["exit_status"]) == ("ended", 1)
        assert "credentials" in last["reason"]
    assert [line.split(" ")[0] for line in lines if not line.startswith(" ")] == [
        f"{config}:4:3:",
        f"{config}:6:13:",
        f"{config}:7:5:",
        "3",
    ]
    assert "did you mean credentials?" in result.err


async def test_check_outside_of_the_service_explains_its_secrets(tmp_path: Path) -> None:
    config = tmp_path / "signer.yaml"
    config.write_text(
        BROKEN.partition("apps:")[0].replace(
            "{type: ecs_ram_role}",
            "{type: static, access_key_id: x, access_key_secret: '${file:$CREDENTIALS_DIRECTORY/ak-secret}'}",
        )
        + "apps: {a: {key_prefix: a/, bucket: photos, region: cn-hangzhou, credentials: r}}\n",
        encoding="utf-8",
    )
    result = await run_command("check", config)
    assert result.status == 1
    assert f"{config}:2:" in result.err
    assert "$CREDENTIALS_DIRECTORY is not set: systemd sets it for a service with LoadCredential=" in result.err
    assert "systemd-run, as docs/deploying.md shows" in result.err
    (tmp_path / "ak-secret").write_text("s", encoding="ascii")
    accepted = await run_command("check", config, environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert accepted.status == 0, accepted.err


async def test_check_accepts_the_example() -> None:
    result = await run_command("check", "--config", "config", environ=LOCAL_ENVIRON)
    assert result.status == 0, result.err
    assert "4 apps (1 disabled) on 2 roles" in result.out


async def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    result = await run_command("serve", "--config", tmp_path / "none.yaml")
    assert result.status == 1
    assert "none.yaml: No such file or directory" in result.err


async def test_an_address_in_use_is_reported(tmp_path: Path) -> None:
    with listening_socket(ListenAddress.parse("127.0.0.1:0")) as sock:
        address = f"127.0.0.1:{sock.getsockname()[1]}"
        config = tmp_path / "signer.yaml"
        config.write_text(
            f"version: 1\nserver: {{listen: '{address}'}}\ncredentials: {{}}\napps: {{}}\n", encoding="utf-8"
        )
        result = await run_command("serve", "--config", config)
    assert result.status == 3
    assert f"cannot listen on {address}" in result.err


async def test_the_shipped_schema_is_current_and_accepts_the_example() -> None:
    shipped = (ROOT / "config/oss-signer.schema.json").read_text(encoding="utf-8")
    assert (await run_command("schema")).out == shipped
    example = yaml.safe_load((ROOT / "config/oss-signer.yaml").read_text(encoding="utf-8"))
    jsonschema.validate(example, json.loads(shipped))
    example["apps"]["wx1234567890abcdef"]["bukket"] = "x"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(example, json.loads(shipped))


@pytest.mark.parametrize(
    ("fault", "message"),
    [("sts:fire", "fire"), ("moon:hang", "metadata, sts, oss"), ("sts:latency=x", "x is not a number")],
)
async def test_an_invalid_fault_is_reported(fault: str, message: str) -> None:
    result = await run_command("demo", "--port", "0", "--fault", fault)
    assert (result.status, result.out) == (1, "")
    assert message in result.err


async def test_sign_prints_the_response_and_its_policy(cloud: Cloud, tmp_path: Path) -> None:
    config = tmp_path / "signer.yaml"
    config.write_text(
        f"""
version: 1
credentials: {{r: {{type: assume_role, endpoint: "{cloud.sts}"}}}}
apps:
  a:
    bucket: photos
    region: cn-hangzhou
    credentials: r
    key_prefix: "u/{{caller}}/"
    key: "{{filename}}"
    callers: {{type: api_key, keys: {{k: {"0" * 64}}}}}
""",
        encoding="utf-8",
    )
    result = await run_command(
        "sign", "a", "--config", config, "--filename", "照片.jpg", "--caller", "ann", environ=LOCAL_ENVIRON
    )
    assert result.status == 0, result.err
    shown = json.loads(result.out)
    assert shown["response"]["key"] == "u/ann/照片.jpg"
    assert ["eq", "$key", "u/ann/照片.jpg"] in shown["policy"]["conditions"]
    assert {"x-oss-security-token": "***"} in shown["policy"]["conditions"]
    for arguments, message in ((("a",), "invalid_request"), (("b",), "unknown_app")):
        result = await run_command("sign", *arguments, "--config", config, environ=LOCAL_ENVIRON)
        assert result.status == 1
        assert message in result.err
