"""No message or excerpt shows a secret, even where the file is broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from signer.cli import main
from signer.definitions.excerpt import hide_secrets
from signer.definitions.mistakes import BadDefinitions
from signer.definitions.parser import parse

SECRET = "Wx9dkQ2mZt7LpR4vB8nC1sYf6HjK3a"
"""With the shape of an AccessKey secret."""
PASSWORD = "Hunter_Two"
"""Without a special shape: only its key shows that it is secret."""

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
"""Places where only the shape shows that it is a secret."""


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
    output = capsys.readouterr()
    assert value not in output.out + output.err
    assert "signer.yaml:" in output.err
    assert main(["check", "--json", "--config", str(config)]) == 1
    output = capsys.readouterr()
    assert value not in output.out + output.err
    assert json.loads(output.out)["errors"]


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
def test_the_value_of_a_reference_is_not_shown(value: str) -> None:
    text = f"{HEAD}  r: {{type: ecs_ram_role}}\n".replace("apps: {}", f"apps: {{a: {{{value}}}}}")
    text = text.replace("apps: {a: {", "apps: {a: {" + "".join(_other_keys(value)))
    with pytest.raises(BadDefinitions) as raised:
        parse({"a.yaml": text}, {"S": PASSWORD})
    output = str(raised.value) + repr(raised.value.mistakes) + str([m.excerpt for m in raised.value.mistakes])
    assert PASSWORD not in output


def _other_keys(value: str) -> list[str]:
    """Return the other required keys of an app."""
    needed = {"bucket": "photos", "key_prefix": "p/", "region": "cn-hangzhou", "credentials": "r"}
    return [f"{key}: {text}, " for key, text in needed.items() if not value.startswith(key)]


def test_other_values_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Hiding secrets must not hide the mistake."""
    config = tmp_path / "signer.yaml"
    config.write_text(
        HEAD.replace("apps: {}", "apps: {a: {key_prefix: '', bucket: Photos, name: Secret garden}}")
        + "  r: {type: assume_role, access_key_secret: '${file:/run/ak-secret}', access_key_id: '${AK}', scope: al}\n"
        + "  p: {type: oidc, token_file: /var/run/secrets/token, provider_arn: x}\n",
        encoding="utf-8",
    )
    main(["check", "--config", str(config)])
    output = capsys.readouterr().err
    for shown in (
        "{key_prefix: '', bucket: Photos, name: Secret garden}",
        "${file:/run/ak-secret}",
        "${AK}",
        "/var/run/secrets/token",
    ):
        assert shown in output


MULTI_LINE = [
    '    access_key_secret: "VALUE\n    VALUE: 1\n    VALUE: 2"\n    oops: 1\n',
    "    access_key_secret:\n      - VALUE\n    oops: 1\n",
    "    ? access_key_secret\n    : VALUE\n    oops: 1\n",
]


@pytest.mark.parametrize("entry", MULTI_LINE)
def test_all_lines_of_a_secret_are_hidden(entry: str) -> None:
    lines = (HEAD + "  r:\n    type: static\n" + entry.replace("VALUE", PASSWORD)).split("\n")
    shown = hide_secrets(lines)
    assert PASSWORD not in "\n".join(shown)
    assert (shown[4], shown[-2]) == ("    type: static", "    oops: 1")


def test_the_beginning_of_a_long_value_of_a_reference_is_not_shown() -> None:
    value = "Hunter_Two/" * 20
    text = f"{HEAD}  r: {{type: ecs_ram_role}}\n".replace(
        "apps: {}", "apps: {a: {bucket: photos, region: cn-hangzhou, credentials: r, key_prefix: '{${S}}/'}}"
    )
    with pytest.raises(BadDefinitions) as raised:
        parse({"a.yaml": text}, {"S": value})
    assert "is not a placeholder" in str(raised.value)
    assert "Hunter" not in str(raised.value)


def test_a_secret_that_an_alias_repeats_is_not_quoted() -> None:
    text = f"{HEAD}  r: {{type: static, access_key_id: a, access_key_secret: &s {PASSWORD}}}\ndefault_app: *s\n"
    with pytest.raises(BadDefinitions) as raised:
        parse({"a.yaml": text}, {})
    assert PASSWORD not in str(raised.value)
    assert "is not an app" in str(raised.value)
