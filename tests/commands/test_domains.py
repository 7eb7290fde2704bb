"""`domains`: the domains to enter in the WeChat console, and those that WeChat refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from signer.cli import main
from signer.commands.domains import domain_problems

CONFIG = """
version: 1
server: {secret: a-secret-of-the-signers-of-the-tests}
credentials: {r: {type: static, access_key_id: x, access_key_secret: y}}
defaults: {region: cn-hangzhou, credentials: r}
apps:
  wx1: {key_prefix: '', bucket: photos}
  wx2: {bucket: photos, key_prefix: two/}
  wx3:
    bucket: own
    domain: https://Upload.example.com/
    key_prefix: "{caller}/"
    downloads: {expires: 5m, domain: "https://Img.example.com"}
    callers: {type: wechat, secret: anything}
  videos: {key_prefix: v/, bucket: own, domain: https://videos.example.com, multipart: {}}
  plain: {key_prefix: '', bucket: own, domain: http://upload.example.com}
  off: {key_prefix: '', bucket: own, enabled: false}
"""
CLOSED = "closed by OSS to accounts that are new since 2025-03-20"
PHOTOS = "https://photos.oss-cn-hangzhou.aliyuncs.com"


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "signer.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return str(path)


def test_apps_are_grouped_by_their_domains(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["domains", "--config", config, "--json", "--public-url", "https://sign.example.com/v1"])
    document = json.loads(capsys.readouterr().out)
    sign = ["https://sign.example.com"]
    assert status == 1
    assert document["groups"] == [
        {"apps": ["wx1", "wx2"], "domains": {"request": sign, "uploadFile": [PHOTOS], "downloadFile": []}},
        {
            "apps": ["wx3"],
            "domains": {
                "request": sign,
                "uploadFile": ["https://upload.example.com"],
                "downloadFile": ["https://img.example.com"],
            },
        },
        {
            "apps": ["videos"],
            "domains": {
                "request": ["https://sign.example.com", "https://videos.example.com"],
                "uploadFile": ["https://videos.example.com"],
                "downloadFile": [],
            },
        },
        {
            "apps": ["plain"],
            "domains": {"request": sign, "uploadFile": ["http://upload.example.com"], "downloadFile": []},
        },
    ]
    assert list(document["refused"]) == ["http://upload.example.com"]
    assert [each.partition(";")[0] for each in document["warnings"][PHOTOS]] == [CLOSED]
    assert len(document["warnings"]) == 1


def test_the_text_has_the_names_of_the_console(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["domains", "--config", config, "--app", "wx1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Paste into https://mp.weixin.qq.com > 开发管理 > 开发设置 > 服务器域名"
    assert lines[2] == "wx1:"
    assert lines[3].split() == ["request合法域名", "(set", "it", "with", "--public-url)"]
    assert lines[4].split() == ["uploadFile合法域名", PHOTOS]
    assert lines[-1].startswith(f"warning: {PHOTOS}: {CLOSED}; write a domain of your own")


def test_the_domain_of_parts_is_a_request_domain(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["domains", "--config", config, "--app", "videos"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[3].split() == ["request合法域名", "https://videos.example.com"]
    assert lines[4].split(maxsplit=1)[1] == "(and the signer: set it with --public-url)"
    assert lines[5].split() == ["uploadFile合法域名", "https://videos.example.com"]


def test_an_older_account_may_use_the_default_domain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "signer.yaml"
    path.write_text(CONFIG.replace("{region: cn-hangzhou,", "{region: cn-hangzhou, legacy_endpoint: true,"), "utf-8")
    assert main(["domains", "--config", str(path), "--app", "wx1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("every domain uses https")


def test_the_text_lists_refused_domains(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["domains", "--config", config, "--app", "plain", "--public-url", "sign.example.com:8443"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(";")[0] for line in lines[-2:]] == [
        "warning: https://sign.example.com:8443: has a port",
        "refused: http://upload.example.com: not https, which mini-programs require",
    ]


def test_an_unknown_app_is_an_error(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["domains", "--config", config, "--app", "wx9"]) == 1
    assert capsys.readouterr().out == "unknown app; use one of: off, plain, videos, wx1, wx2, wx3\n"


@pytest.mark.parametrize(
    ("domain", "refused", "warnings"),
    [
        ("https://upload.example.com", 0, 0),
        (PHOTOS, 0, 0),
        ("https://upload.example.com:8443", 0, 1),
        ("https://upload.example.com:port", 0, 1),
        ("http://upload.example.com", 1, 0),
        ("https://203.0.113.7", 1, 0),
        ("https://[2001:db8::1]", 1, 0),
        ("https://localhost", 1, 0),
        ("https://upload", 1, 0),
        ("https://upload.corp.internal", 1, 0),
        ("https://photos.oss-cn-hangzhou-internal.aliyuncs.com", 1, 0),
        ("https://api.weixin.qq.com", 1, 0),
        ("https://上传.example.com", 0, 1),
    ],
)
def test_wechat_accepts_only_public_https_domains(domain: str, refused: int, warnings: int) -> None:
    found = [problem.is_refused for problem in domain_problems(domain)]
    assert (found.count(True), found.count(False)) == (refused, warnings)
