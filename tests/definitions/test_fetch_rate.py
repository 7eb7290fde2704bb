"""How many tokens a second the definitions require, and when `check` warns of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from signer.cli import main
from signer.definitions.fetch_rate import implied_fetches_per_second
from signer.definitions.parser import parse
from signer.definitions.registry import Registry
from signer.definitions.warnings import find_warnings

ROLE = "{type: assume_role, role_arn: 'acs:ram::1:role/x', access_key_id: a, access_key_secret: b, duration: %s, scope: %s}"


def text(apps: int, *, duration: str = "1h", scope: str = "app", server: str = "{}") -> str:
    entries = "".join(f"  a{number}: {{key_prefix: a{number}/}}\n" for number in range(apps))
    return (
        f"version: 1\nserver: {server}\ncredentials: {{r: {ROLE % (duration, scope)}}}\n"
        f"defaults: {{bucket: photos, region: cn-hangzhou, credentials: r, expires: 10m}}\napps:\n{entries}"
    )


def registry(apps: int, *, duration: str = "1h", scope: str = "app", server: str = "{}") -> Registry:
    return parse({"signer.yaml": text(apps, duration=duration, scope=scope, server=server)}, {})


def warned(definitions: Registry, workers: int = 1) -> list[str]:
    return [str(each) for each in find_warnings(definitions, workers) if "credential_fetch_rate" in each.message]


def test_each_role_is_fetched_after_about_seven_tenths_of_its_spare_lifetime() -> None:
    assert implied_fetches_per_second(registry(210)) == pytest.approx(210 / (0.7 * 50 * 60))
    assert implied_fetches_per_second(registry(210, duration="20m")) == pytest.approx(210 / (0.7 * 10 * 60))
    assert implied_fetches_per_second(registry(210, scope="role")) == pytest.approx(1 / (0.7 * 50 * 60))


def test_the_rate_is_that_of_all_workers() -> None:
    definitions = registry(210, duration="20m", server="{credential_fetch_rate: 1/s}")
    assert warned(definitions) == warned(definitions, workers=2) == []
    [warning] = warned(definitions, workers=3)
    assert warning == (
        "signer.yaml:2:33: server.credential_fetch_rate: the tokens of 210 roles on 3 signers need 1.5 fetches a second, "
        "and server.credential_fetch_rate allows 1/s, so tokens of rarely used roles expire; raise duration, or the rate: "
        "STS allows an account 100/s"
    )


def test_a_rate_that_is_not_written_is_warned_of_at_the_credentials() -> None:
    definitions = registry(300, duration="16m")
    assert warned(definitions, workers=20) == []
    [warning] = warned(definitions, workers=40)
    assert warning.startswith("signer.yaml:3:1: credentials: the tokens of 300 roles on 40 signers need ")


def test_check_reads_the_number_of_signers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (config := tmp_path / "signer.yaml").write_text(text(300, duration="16m"), encoding="utf-8")
    assert main(["check", "--config", str(config)]) == 0
    assert "credential_fetch_rate" not in capsys.readouterr().err
    assert main(["check", "--config", str(config), "--workers", "40"]) == 0
    assert "300 roles on 40 signers" in capsys.readouterr().err
    monkeypatch.setenv("OSS_SIGNER_WORKERS", "50")
    assert main(["check", "--config", str(config)]) == 0
    assert "300 roles on 50 signers" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["check", "--config", str(config), "--workers", "0"])
    assert "write 1 or more" in capsys.readouterr().err
