"""No command prints a secret, whatever key contains it and however the definitions are broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from signer.cli import main
from tests.harness.planted_secrets import NOWHERE, Planter, edits, leaks, secret_fields, with_references

EDITS = [name for name, _ in edits(Planter().definitions())]


@pytest.fixture(params=["in the file", "as references"])
def document(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    planter = Planter()
    document = planter.definitions()
    monkeypatch.setenv("OSS_ACCESS_KEY_ID", "LTAI-x")
    if request.param == "in the file":
        return document
    for name, value in planter.planted.items():
        monkeypatch.setenv(name, value)
    referring: dict[str, Any] = with_references(document, planter.planted)
    return referring


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> int:
    """Run a command, whose output must show no secret."""
    status = main([str(argument) for argument in arguments])
    output = capsys.readouterr()
    assert leaks(output.out + output.err) == [], arguments
    assert output.out + output.err
    return status


def test_every_key_with_a_secret_has_one() -> None:
    planter = Planter()
    planter.definitions()
    assert planter.fields == secret_fields()


@pytest.mark.parametrize("edit", EDITS)
def test_no_edit_shows_a_secret(
    edit: str, document: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (config := tmp_path / "signer.yaml").write_text(dict(edits(document))[edit], encoding="utf-8")
    (store := tmp_path / "store.yaml").write_text(dict(edits(Planter().definitions()))["nothing"], encoding="utf-8")
    status = run(capsys, "check", "--config", config)
    assert edit not in ("nothing", "one line") or status == 0
    assert run(capsys, "check", "--json", "--config", config) == status
    assert run(capsys, "push", "--config", store, config) == status
    assert run(capsys, "push", "--force", "--config", config, store) == 0


def test_no_other_command_shows_a_secret(
    document: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del document["credentials"]["static"]["security_token"]  # which is a part of each form
    (config := tmp_path / "signer.yaml").write_text(dict(edits(document))["nothing"], encoding="utf-8")
    for app in document["apps"]:
        run(capsys, "sign", "--config", config, app, "--filename", "a.jpg", "--caller", "ann")
    run(capsys, "domains", "--config", config)
    run(capsys, "doctor", "--config", config, "--timeout", "1", "--oss-endpoint", NOWHERE)
    run(capsys, "doctor", "--config", config, "--timeout", "1", "--oss-endpoint", NOWHERE, "--json")


@pytest.mark.parametrize("command", ["check", "pull"])
@pytest.mark.parametrize("store", ["redis://:{}@127.0.0.1:1/0", "http://ann:{}@127.0.0.1:1/a.yaml", "oss://{}@a/b"])
def test_the_password_of_a_store_is_not_shown(command: str, store: str, capsys: pytest.CaptureFixture[str]) -> None:
    password = next(iter(Planter().definitions()["credentials"]["static"]["security_token"].split(" ")))
    run(capsys, command, "--config", store.format(password.replace("/", "%2F").replace("+", "%2B")))
