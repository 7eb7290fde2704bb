"""`doctor` reports each fault of a machine with its fix, and nothing else."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.doctor.reports import PAGE, DoctorRuns, doctor
from tests.doctor.scenarios import run_all
from tests.harness.redis_server import redis_server


@dataclass(frozen=True)
class Fault:
    """The finding that reports a fault. `name` is the app that has it; empty for a fault of the machine."""

    name: str
    step: str
    subject: str
    what: str
    fix: str
    verdict: str = "failed"


FAULTS = [
    Fault("away", "metadata", "away", "cannot be reached", "100.100.100.200"),
    Fault(
        "renamed",
        "metadata",
        "renamed",
        "is oss-uploader, but somebody-else is defined",
        "role_name: oss-uploader",
    ),
    Fault("badkey", "credential", "badkey", "SignatureDoesNotMatch", "does not belong to its id"),
    Fault("forbidden", "credential", "forbidden", "NoPermission", '"Action": "sts:AssumeRole"'),
    Fault("missing", "bucket", "nobodys (credentials.instance)", "there is no such bucket", "Create Bucket"),
    Fault("elsewhere", "bucket", "shanghai (credentials.instance)", "is in cn-shanghai", "region: cn-shanghai"),
    Fault(
        "no-cors",
        "cors",
        f"{PAGE} to plain (credentials.instance)",
        "no CORS rule",
        "<ExposeHeader>x-oss-request-id</ExposeHeader>",
    ),
    Fault(
        "half-cors",
        "cors",
        f"{PAGE} to half",
        "does not allow the request header X-Requested-With and does not expose x-oss-request-id",
        "CORS",
        "warning",
    ),
    Fault(
        "denied-cors",
        "cors",
        f"{PAGE} to plain (credentials.narrow)",
        "no CORS rule",
        f"<AllowedOrigin>{PAGE}</AllowedOrigin>",
    ),
    Fault(
        "narrow-bad",
        "write",
        "photos/narrow/bad/* (credentials.narrow)",
        "may not put objects there",
        '"Action": "oss:PutObject", "Resource": "acs:oss:*:*:photos/narrow/bad/*"',
    ),
    Fault(
        "narrow-good",
        "write",
        "photos/narrow/good/* (credentials.narrow)",
        "could delete",
        "ossutil rm oss://photos/narrow/good/",
        "warning",
    ),
    Fault(
        "denied-cors",
        "write",
        "plain/denied-cors/* (credentials.narrow)",
        "may not put objects there",
        "Grant Permission",
    ),
    Fault(
        "foreign-domain",
        "domain",
        "localhost:{oss_port} for second",
        "does not lead to the bucket second",
        "Map Custom Domain Name",
    ),
    Fault("bad-tls", "domain", "localhost:{tls} for second", "TLS certificate is not valid", "CNAME localhost"),
    Fault("bad-tls", "certificate", "localhost", "self-signed", "Certificate Hosting"),
    Fault("foreign-domain", "write", "second/foreign/*", "does not lead to the bucket second", "CNAME localhost"),
    Fault("bad-tls", "write", "second/bad-tls/*", "TLS certificate is not valid", "curl -sI https://localhost:"),
    Fault("bad-wx", "wechat", "fine", "40125", "AppSecret"),
    Fault("no-wx", "wechat", "no-wx", "cannot be reached", "curl -sI"),
    Fault("", "listen", "server.listen", "is used by another service", "ss -ltnp"),
    Fault("", "redis", "limits", "does not respond", "start it"),
    Fault("", "definitions", "{config}", "2 warnings", "oss-signer check", "warning"),
]
"""All faults of the faulty machine."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> DoctorRuns:
    """All runs, made once."""
    return asyncio.run(run_all(tmp_path_factory.mktemp("runs")))


def test_a_healthy_machine_has_no_findings(runs: DoctorRuns) -> None:
    healthy = runs.results["healthy"]
    assert (healthy.status, healthy.not_ok()) == (
        0,
        [("certificate", "localhost", "not checked")],
    ), healthy.out
    steps = {each["step"] for each in healthy.findings}
    assert steps == {
        *("definitions", "listen", "metadata", "clock", "credential", "bucket", "cors", "domain", "certificate"),
        *("write", "wechat", "callback keys"),
    }
    assert {each["subject"] for each in healthy.of("write")} == {
        "photos/fine/* (credentials.instance)",
        "photos/scoped/* (credentials.partner)",
        "photos/chained/* (credentials.chained)",
    }
    assert [each["what"] for each in healthy.of("domain")] == ["leads to photos"] * 3
    assert {each["what"].partition(", through ")[2] for each in healthy.of("write")} == {
        f"http://localhost:{runs.cloud.oss.rpartition(':')[2]}",
        "https://photos.oss-cn-hangzhou.aliyuncs.com",
    }


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.name or fault.step}: {fault.what}")
def test_each_fault_is_reported_with_its_fix(runs: DoctorRuns, fault: Fault) -> None:
    faulty = runs.results["faulty"]
    assert faulty.status == 1
    subject = _subject(runs, fault)
    found = [
        each
        for each in faulty.of(fault.step, fault.verdict)
        if subject in each["subject"] and fault.what in each["what"]
    ]
    assert len(found) == 1, faulty.out
    assert fault.fix in found[0]["fix"]
    assert not fault.name or fault.name in found[0]["apps"] or fault.step == "metadata"


def test_only_the_faults_are_reported(runs: DoctorRuns) -> None:
    """Healthy parts stay ok, and a skipped check names the fault that it depends on."""
    faulty = runs.results["faulty"]
    report = [each for each in faulty.findings if each["verdict"] in ("failed", "warning")]
    assert len(report) == len(FAULTS), faulty.out
    unchecked = [each for each in faulty.findings if each["verdict"] == "not checked"]
    assert all(each["what"].startswith("because") for each in unchecked), unchecked
    without_token = ("away", "renamed", "badkey", "forbidden")
    assert {(each["step"], each["subject"]) for each in unchecked} == {
        *(("credential", name) for name in ("away", "renamed")),
        *(("bucket", f"photos (credentials.{name})") for name in without_token),
        *(("write", f"photos/{name}/* (credentials.{name})") for name in without_token),
        ("domain", "https://nobodys.oss-cn-hangzhou.aliyuncs.com for nobodys (credentials.instance)"),
        ("domain", "https://shanghai.oss-cn-hangzhou.aliyuncs.com for shanghai (credentials.instance)"),
        ("write", "nobodys/missing/* (credentials.instance)"),
        ("write", "shanghai/elsewhere/* (credentials.instance)"),
        ("certificate", "localhost"),
    }
    assert "photos/fine/* (credentials.instance)" in {each["subject"] for each in faulty.of("write", "ok")}


def test_the_objects_it_wrote_are_deleted(runs: DoctorRuns) -> None:
    """Except one that no role may delete: the report gives the command for it."""
    left = {place: keys for place, keys in runs.objects.items() if keys}
    assert list(left) == [" photos", "later  photos"]
    [key] = left[" photos"]
    assert key.startswith("narrow/good/oss-signer-doctor-")
    [report] = runs.results["faulty"].of("write", "warning")
    assert f"ossutil rm oss://photos/{key}" in report["fix"]
    assert left["later  photos"] == [key]


def test_a_wrong_clock(runs: DoctorRuns) -> None:
    report = runs.results["clock"]
    assert report.status == 1
    assert [each for each in report.findings if each["verdict"] == "failed"] == report.of("clock")
    assert len(report.of("clock")) == 3
    for each in report.of("clock"):
        assert re.search("clock is (1199|1200|1201) s slow", each["what"])
        assert "chronyc makestep" in each["fix"]
    because = "because this machine's clock is wrong"
    assert {each["subject"] for each in report.of("credential", "not checked")} == {"partner", "chained"}
    assert all(because in each["what"] for each in report.of("write"))
    assert [each["subject"] for each in report.of("wechat", "ok")] == ["fine"]


def test_an_instance_without_a_role(runs: DoctorRuns) -> None:
    report = runs.results["no role"]
    [failed] = [each for each in report.findings if each["verdict"] == "failed"]
    assert failed["step"] == "metadata"
    assert "no RAM role is attached" in failed["what"]
    assert """--InstanceIds '["i-local0000000000000"]' --RamRoleName oss-uploader""" in failed["fix"]
    assert {each["subject"] for each in report.of("credential", "not checked")} == {"instance", "chained"}
    assert [each["subject"] for each in report.of("write", "ok")] == ["photos/scoped/* (credentials.partner)"]


def test_invalid_definitions(runs: DoctorRuns) -> None:
    report = runs.results["broken YAML"]
    assert report.status == 1
    [failed, *others] = report.of("definitions", "failed")
    assert "bukcet" in failed["what"]
    assert "bucket" in failed["what"]
    assert failed["subject"].startswith(str(runs.directory / "broken.yaml:"))
    assert "oss-signer check" in failed["fix"]
    assert report.of("credential", "not checked")
    assert all("definitions" in each["step"] for each in [failed, *others])


def test_an_unreadable_secret_file(runs: DoctorRuns) -> None:
    report = runs.results["unread secret"]
    [failed] = [each for each in report.findings if each["verdict"] == "failed"]
    assert (failed["step"], failed["subject"]) == ("files", "/nowhere/ak-secret")
    assert "No such file" in failed["what"]
    assert "LoadCredential=" in failed["fix"]
    assert [each["step"] for each in report.of("definitions", "not checked")] == ["definitions"]


def test_an_unreadable_environment_file(runs: DoctorRuns) -> None:
    report = runs.results["unread environment"]
    [failed] = [each for each in report.findings if each["verdict"] == "failed"]
    assert (failed["step"], failed["subject"]) == ("files", "/nowhere/environment")


def test_a_secret_file_that_every_user_can_read(runs: DoctorRuns) -> None:
    report = runs.results["shown secret"]
    assert report.status == 0
    assert [(each["verdict"], each["fix"].split(";")[0]) for each in report.of("files")] == [
        ("warning", f"chmod o-rwx {runs.directory}/open-secret")
    ]


def test_a_certificate_that_expires_soon(runs: DoctorRuns) -> None:
    report = runs.results["one app"]
    [soon] = report.of("certificate", "warning")
    assert "expires in 5 days" in soon["what"]
    assert {each["subject"] for each in report.of("credential")} == {"instance"}
    [domain] = report.of("domain", "failed")
    assert "is not OSS" in domain["what"]


def test_an_unknown_app(runs: DoctorRuns) -> None:
    report = runs.results["no such app"]
    assert report.status == 1
    assert [each["fix"] for each in report.of("definitions", "failed")] == ["did you mean fine?"]


def test_a_running_signer_may_use_the_addresses(runs: DoctorRuns) -> None:
    report = runs.results["held by our own"]
    assert [each["what"] for each in report.of("listen", "ok")] == ["is used by a running oss-signer"] * 2


def test_the_text_report(runs: DoctorRuns) -> None:
    report = runs.results["as text"]
    assert report.status == 1
    lines = report.out.splitlines()
    at = next(number for number, line in enumerate(lines) if "there is no such bucket" in line)
    assert lines[at].split()[:3] == ["FAILED", "bucket", "nobodys"]
    assert lines[at + 1].strip().startswith("fix: correct bucket in the definitions")
    assert "3 failed" in lines[-1]
    assert not report.err


async def test_a_redis_that_responds(tmp_path: Path) -> None:
    async with redis_server(tmp_path / "redis") as redis:
        config = tmp_path / "signer.yaml"
        url = f"redis://127.0.0.1:{redis.port}/0"
        config.write_text(
            f'version: 1\nserver: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", callback_queue: "{url}"}}\n'
            f"limits: {url}\n"
            "credentials: {r: {type: static, access_key_id: x, access_key_secret: y}}\napps: {}\n",
            encoding="utf-8",
        )
        report = await doctor("--config", config, "--json")
        assert [(each["verdict"], each["what"]) for each in report.of("redis")] == [("ok", "responds")] * 2, report.out


async def test_sentinels_that_do_not_respond(tmp_path: Path) -> None:
    config = tmp_path / "signer.yaml"
    config.write_text(
        'version: 1\nserver: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}\n'
        "limits: redis+sentinel://127.0.0.1:1,127.0.0.1:2/main?sentinel_password=a-password\n"
        "credentials: {r: {type: static, access_key_id: x, access_key_secret: y}}\napps: {}\n",
        encoding="utf-8",
    )
    report = await doctor("--config", config, "--json")
    [finding] = report.of("redis")
    assert finding["subject"] == "limits (127.0.0.1:1,127.0.0.1:2/main)"
    assert finding["what"] == "does not respond: no sentinel can be reached"
    assert "sentinel masters" in finding["fix"]
    assert "a-password" not in report.out


def _subject(runs: DoctorRuns, fault: Fault) -> str:
    return fault.subject.format(
        oss_port=runs.cloud.oss.rpartition(":")[2], tls=runs.tls_port, config=runs.directory / "faulty"
    )
