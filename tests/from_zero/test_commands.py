"""docs/from-zero.md, step by step: the local cloud plays Alibaba Cloud and WeChat, and the commands are the page's."""

from __future__ import annotations

import json
import re
import shlex

import yaml

from tests.from_zero.aliyun_cli import cname_of
from tests.from_zero.page import (
    APP,
    CALLS,
    COMMANDS,
    DEFINITIONS,
    FILES,
    OUR_COMMAND,
    SIGN,
    TEXT,
    UPLOAD,
    blocks,
    calls,
    option,
    ours,
    table_codes,
)
from tests.from_zero.place import Place
from tests.harness.processes import ROOT, run

COMMANDS_OF_SYSTEMD = {"make install PYTHON=python3.11", "systemctl enable --now oss-signer.target"}
"""tests/systemd runs what they do."""


def test_every_command_is_of_a_kind_that_is_tested() -> None:
    kinds = ("aliyun ", OUR_COMMAND, "curl ")
    assert {line for line in COMMANDS if not line.startswith(kinds)} == COMMANDS_OF_SYSTEMD
    assert {line.split()[1] for line in COMMANDS if line.startswith(OUR_COMMAND)} == {
        "check",
        "policies",
        "doctor",
        "domains",
    }
    deploying = (ROOT / "docs/deploying.md").read_text(encoding="utf-8")
    for line in COMMANDS_OF_SYSTEMD:
        assert line in deploying, line
    assert "dnf install python3.11 git make" in TEXT
    assert "dnf install python3.11 git make" in deploying


def test_the_commands_agree_with_the_definitions() -> None:
    role = yaml.safe_load(DEFINITIONS)["credentials"][APP["credentials"]]["role_name"]
    domain = APP["domain"].removeprefix("https://")
    zone = "example.com"
    for call in CALLS:
        options = call.options
        assert {options.get(key, APP["region"]) for key in ("region", "RegionId")} == {APP["region"]}
        assert {options.get(key, role) for key in ("RoleName", "RamRoleName", "PolicyName")} == {role}
        assert options.get("bucket", APP["bucket"]) == APP["bucket"]
        assert not call.words or call.words[0].startswith(f"oss://{APP['bucket']}"), call
        if "cname-configuration" in options:
            assert cname_of(options["cname-configuration"])["Domain"] == domain
        for address in json.loads(options.get("InstanceIds", "[]")):
            assert address.startswith("i-")
    records = {(call.options["Type"], call.options["RR"]): call.options for call in calls("alidns AddDomainRecord")}
    assert {each["DomainName"] for each in records.values()} == {zone}
    assert set(records) == {("TXT", f"_dnsauth.{domain.removesuffix(f'.{zone}')}"), ("CNAME", "upload"), ("A", "sign")}
    assert records["CNAME", "upload"]["Value"] == f"{APP['bucket']}.oss-{APP['region']}.aliyuncs.com"
    assert option("ossutil ls", "endpoint") == domain


async def test_check_and_policies_print_what_the_page_shows(place: Place) -> None:
    assert "no errors or warnings" in await place.run_ours(ours("check"), place.documented)
    printed = await place.run_ours(ours("policies"), place.documented)
    for document in FILES.values():
        assert f"\n{document}" in printed
    assert printed.count('"Version"') == len(FILES)


async def test_domains_prints_those_of_the_page(place: Place) -> None:
    printed = await place.run_ours(ours("domains"), place.documented)
    assert re.search(rf"request合法域名 +{SIGN}\n +uploadFile合法域名 +{UPLOAD}\n", printed)
    assert "refused" not in printed
    assert "warning" not in printed


async def test_doctor_finds_nothing_that_fails(place: Place) -> None:
    printed = await place.run_ours(ours("doctor"), place.placed, "--oss-endpoint", place.cloud.oss)
    assert "FAILED" not in printed, printed
    [warning] = re.findall(r"^warning +(.*)", printed, re.MULTILINE)
    assert warning.startswith("write "), printed
    assert "no credential could delete" in warning
    assert re.search(r"^ok +wechat ", printed, re.MULTILINE), printed


def test_doctor_has_the_findings_of_the_page() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "signer/doctor").rglob("*.py"))
    rows = re.findall(r"^\| (`[^|]+: `[^|]+`)[^|`]*\|", TEXT, re.MULTILINE)
    assert len(rows) == 7
    for row in rows:
        step, *findings = re.findall(r"`([^`]+)`", row)
        assert (ROOT / f"signer/doctor/steps/{step}.py").exists() or step == "certificate", step
        for finding in findings:
            assert finding in sources, finding


def test_the_site_of_nginx_has_the_lines_to_change() -> None:
    site = (ROOT / "deploy/nginx/oss-signer.conf").read_text(encoding="utf-8")
    for line in ("server_name", "ssl_certificate", "ssl_certificate_key"):
        assert line in table_codes("7. ")
        assert re.findall(rf"^ +{line} .*sign\.example\.com.*;$", site, re.MULTILINE), line
    for line in ("server 127.0.0.1:5000", "server 127.0.0.1:5001"):
        assert line in table_codes("7. ")
        assert f"{line} max_fails=" in site
    https = " ".join((ROOT / "docs/https.md").read_text(encoding="utf-8").split())
    assert "one address: write it twice, with `max_fails=0`" in https


async def test_curl_prints_what_the_page_shows(place: Place) -> None:
    of_bucket, of_signer = [line for line in COMMANDS if line.startswith("curl ")]
    host = UPLOAD.removeprefix("https://")
    for bound, answer in ((True, "<EC>0003-00000001</EC>"), (False, "<EC>0015-00000101</EC>")):
        await place.configure(f"domains/{host}", {"bucket": APP["bucket"] if bound else None})
        local = of_bucket.replace(UPLOAD, place.cloud.oss)
        result = await run(*shlex.split(local), "-H", f"Host: {host}")
        assert answer in result.out, result.out + result.err
    async with place.running() as service:
        result = await run(*shlex.split(of_signer.replace(SIGN, service.public)))
    assert json.loads(result.out)["code"] == "unauthenticated", result.out
    assert {"0003-00000001", "0015-00000101"} <= {*re.findall(r"\d{4}-\d{8}", TEXT)}


def test_the_sample_has_the_documented_settings() -> None:
    [documented] = blocks("js")
    config = (ROOT / "miniprogram/sample/config.js").read_text(encoding="utf-8")
    written = [line for line in config.splitlines() if not line.strip().startswith("//")]
    written = [line.replace("http://127.0.0.1:5000", SIGN) for line in written]
    assert documented.splitlines() == written
    project = json.loads((ROOT / "miniprogram/sample/project.config.json").read_text(encoding="utf-8"))
    assert project["setting"]["urlCheck"] is False
