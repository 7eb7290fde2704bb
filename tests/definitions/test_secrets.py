"""A secret that stands in a broken file is never printed, nor one that a broken value stands for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from signer.cli import main
from signer.definitions.mistakes import BadDefinitions
from signer.definitions.parser import parse

SECRET = "Wx9dkQ2mZt7LpR4vB8nC1sYf6HjK3a"
"""Of the shape that Alibaba's AccessKey secrets have."""
PASSWORD = "Hunter_Two"
"""Of no shape: only the name of its key tells that it is secret."""

HEAD = "version: 1\napps: {}\ncredentials:\n"
BROKEN = [
    "  r: {type: static, access_key_id: a, access_key_secret: VALUE, oops: 1}\n",
    "  r: {type: static, oops: 1, access_key_id: a, access_key_secret: 'VALUE'}\n",
    '  r: {type: static, access_key_id: [], access_key_secret: "VALUE", security_token: VALUE}\n',
    "  r: {type: static, access_key_id: a, access_key_secret: [VALUE]}\n",
    "  r: {type: static, access_key_id: a, access_key_secret: {a: VALUE}}\n",
    "  r: {type: static, access_key_id: a, access_key_secret:VALUE}\n",
    "  r: {type: static, access_key_id: a, access_key_secret VALUE}\n",
    "  r: {type: static, access_key_id: a, access_key_secret: VALUE\n",
    "  r: {type: static, access_key_id: a, access_key_secret: VALUE: x}\n",
    "  r: {type: static, access_key_id: a, 'access_key_secret': VALUE VALUE}}\n",
    "  r: {type: static, access_key_id: a, access_key_secret: !!binary VALUE}\n",
    "  r: {type: static, access_key_id: a, access_key_secret: &x VALUE, security_token: *y}\n",
    "  r: {type: static, access_key_id: &x VALUE, access_key_secret: *x, oops: 1}\n",
    "  r: {type: static, access_key_id: a, acess_key_secret: VALUE}\n",
    "  r: {type: static, access_key_id: a, accessKeySecret: VALUE}\n",
    "  r: {type: static, access_key_id: a, access_key_sercet: VALUE}\n",
    "  r: {type: static, access_key_id: a, securtiy_tokn: VALUE}\n",
    "  r: {type: static, access_key_id: a, password: VALUE}\n",
    "  r: {type: static, access_key_id: a, access_key_secret: '${NOT_SET:-VALUE}', oops: 1}\n",
    "  r: {type: static, access_key_id: a, access_key_secret: '${1:-VALUE}'}\n",
    "  r: {type: static, access_key_id: a, access_key_secret: '${VALUE'}\n",
    "  r: {type: static, access_key_id: a, access_key_secret: ${VALUE}}\n",
    "  r:\n    type: static\n    access_key_id: a\n    access_key_secret: VALUE # VALUE\n    oops: 1\n",
    '  r:\n    type: static\n    access_key_id: a\n    access_key_secret: "VALUE\n',
    "  r:\n    type: static\n    access_key_id: a\n    access_key_secret: 'VALUE'VALUE\n",
    "  r:\n    type: static\n    access_key_id: a\n    access_key_secret: @VALUE\n",
    "  r:\n    type: static\n    access_key_id: a\n    access_key_secret: VALUE: VALUE\n",
    "  r:\n    type: static\n    access_key_id: a\n    access_key_secret:VALUE\n    oops: 1\n",
    "  r:\n    type: static\n    access_key_id: a\n    access_key_secret VALUE\n    oops: 1\n",
    "  r:\n    type: static\n    access_key_id: a\n    access_key_secret：VALUE\n    oops: 1\n",
    "  r:\n    type: static\n    access_key_id: a\n    access_key_secret\n      VALUE\n    oops: 1\n",
    "  r:\n    type: static\n    access_key_id: a\n    access_key_secret:\n    VALUE\n",
    "  r:\n    type: static\n    access_key_id: a\n    access_key_secret:\n\tVALUE\n",
    "  r:\n    type: static\n    access_key_id: a\n    access_key_secret: |\n      VALUE\n     VALUE\n    oops: 1\n",
    "  r:\n    type: static\n    access_key_id: a\n    access_key_secret: >-\n      VALUE\n    access_key_secret: x\n",
    "  r:\n    type: static\n    access_key_id: a\n    ? access_key_secret\n    : VALUE\n    oops: 1\n",
    "  r:\n    type: static\n    access_key_id: a\n    access_key_secret: VALUE\n     VALUE: 1\n",
    "  r:\r\n    type: static\r\n    access_key_id: a\r\n    access_key_secret: VALUE\r\n    oops: 1\r\n",
    "  r: {type: static, endpoint: 'http://ann:VALUE@sts.example.com'}\n",
]


MISPLACED = [
    "  r: {type: VALUE}\n",
    "  r: {type: static, VALUE}\n",
    "  r: {type: static, access_key_id: a, x: VALUE}\n",
    "  r: {type: static, access_key_id: a, access_key_secret: '${VALUE}'}\n",
    "  r: {type: static, access_key_id: a, access_key_secret: '${file:/run/VALUE}'}\n",
    "  VALUE: {type: static}\n",
    "  VALUE\n",
]
"""Where only its shape tells."""


@pytest.mark.parametrize(
    ("broken", "value"),
    [(broken, value) for broken in BROKEN for value in (SECRET, PASSWORD)] + [(broken, SECRET) for broken in MISPLACED],
)
def test_a_secret_in_a_broken_file_is_not_printed(
    broken: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "signer.yaml"
    config.write_bytes((HEAD + broken.replace("VALUE", value)).encode())
    assert main(["check", "--config", str(config)]) == 1
    said = capsys.readouterr()
    assert value not in said.out + said.err
    assert "signer.yaml:" in said.err
    assert main(["check", "--json", "--config", str(config)]) == 1
    said = capsys.readouterr()
    assert value not in said.out + said.err
    assert json.loads(said.out)["errors"]


@pytest.mark.parametrize(
    "value",
    [
        "bucket: '${S}'",
        "region: 'oss-${S}'",
        "credentials: '${S}'",
        "key_prefix: '{${S}}/'",
        "key: '{${S}}'",
        "headers: {x-oss-object-acl: '${S}', x-oss-storage-class: '${S}'}",
        "callers: {type: '${S}'}",
        "success_status: '${S}'",
        "max_size: '${S}'",
        "expires: '${S}'",
        "domain: '${S}'",
        "conditions: [['${S}', '${S}', '${S}']]",
    ],
)
def test_what_a_reference_stands_for_is_not_repeated(value: str) -> None:
    text = f"{HEAD}  r: {{type: ecs_ram_role}}\n".replace("apps: {}", f"apps: {{a: {{{value}}}}}")
    text = text.replace("apps: {a: {", "apps: {a: {" + "".join(_rest(value)))
    with pytest.raises(BadDefinitions) as refused:
        parse({"a.yaml": text}, {"S": PASSWORD})
    said = str(refused.value) + repr(refused.value.mistakes) + str([m.excerpt for m in refused.value.mistakes])
    assert PASSWORD not in said


def _rest(value: str) -> list[str]:
    """What an app must have besides."""
    needed = {"bucket": "photos", "region": "cn-hangzhou", "credentials": "r"}
    return [f"{key}: {text}, " for key, text in needed.items() if not value.startswith(key)]


def test_what_is_no_secret_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Masks must not hide what one looks for."""
    config = tmp_path / "signer.yaml"
    config.write_text(
        HEAD.replace("apps: {}", "apps: {a: {bucket: Photos, name: Secret garden}}")
        + "  r: {type: assume_role, access_key_secret: '${file:/run/ak-secret}', access_key_id: '${AK}', scope: al}\n"
        + "  p: {type: oidc, token_file: /var/run/secrets/token, provider_arn: x}\n",
        encoding="utf-8",
    )
    main(["check", "--config", str(config)])
    said = capsys.readouterr().err
    for shown in ("{bucket: Photos, name: Secret garden}", "${file:/run/ak-secret}", "${AK}", "/var/run/secrets/token"):
        assert shown in said
