"""`doctor` names each fault of a machine and its mend, and finds nothing wrong with what is well."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.doctor.hospital import PAGE, Hospital, doctor
from tests.doctor.machines import examined
from tests.harness.redis_server import redis_server


@dataclass(frozen=True)
class Fault:
    """Where it is told and in which words. `name` is that of the app that has it, or the fault's own."""

    name: str
    step: str
    subject: str
    what: str
    mend: str
    verdict: str = "failed"


FAULTS = [
    Fault("away", "metadata", "away", "cannot be reached", "100.100.100.200"),
    Fault(
        "renamed",
        "metadata",
        "renamed",
        "is oss-uploader, the definitions say somebody-else",
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
    Fault("half-cors", "cors", f"{PAGE} to half", "does not expose x-oss-request-id", "CORS", "warning"),
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
        "could remove",
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
    Fault("bad-wx", "wechat", "fine", "40125", "AppSecret"),
    Fault("no-wx", "wechat", "no-wx", "cannot be reached", "curl -sI"),
    Fault("", "listen", "server.listen", "is held by another service", "ss -ltnp"),
    Fault("", "redis", "limits", "does not answer", "start it"),
    Fault("", "definitions", "{config}", "2 warnings", "oss-signer check", "warning"),
]
"""All of the sick machine."""


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    """All examinations, made once."""
    return asyncio.run(examined(tmp_path_factory.mktemp("hospital")))


def test_a_machine_that_is_well(hospital: Hospital) -> None:
    well = hospital.results["well"]
    assert (well.status, well.not_ok()) == (
        0,
        [("certificate", "localhost", "not checked")],
    ), well.out
    steps = {each["step"] for each in well.findings}
    assert steps == {
        *("definitions", "listen", "metadata", "clock", "credential", "bucket", "cors", "domain", "certificate"),
        *("write", "wechat", "callback keys"),
    }
    assert {each["subject"] for each in well.of("write")} == {
        "photos/fine/* (credentials.instance)",
        "photos/scoped/* (credentials.partner)",
        "photos/chained/* (credentials.chained)",
    }
    assert [each["what"] for each in well.of("domain")] == ["leads to photos"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.name or fault.step}: {fault.what}")
def test_each_fault_is_named_with_its_mend(hospital: Hospital, fault: Fault) -> None:
    sick = hospital.results["sick"]
    assert sick.status == 1
    subject = _subject(hospital, fault)
    found = [
        each for each in sick.of(fault.step, fault.verdict) if subject in each["subject"] and fault.what in each["what"]
    ]
    assert len(found) == 1, sick.out
    assert fault.mend in found[0]["mend"]
    assert not fault.name or fault.name in found[0]["apps"] or fault.step == "metadata"


def test_nothing_else_is_found_of_a_sick_machine(hospital: Hospital) -> None:
    """What is well beside the faults stays so, and what depends on a fault says on which."""
    sick = hospital.results["sick"]
    told = [each for each in sick.findings if each["verdict"] in ("failed", "warning")]
    assert len(told) == len(FAULTS), sick.out
    unchecked = [each for each in sick.findings if each["verdict"] == "not checked"]
    assert all(each["what"].startswith("because") for each in unchecked), unchecked
    without_token = ("away", "renamed", "badkey", "forbidden")
    assert {(each["step"], each["subject"]) for each in unchecked} == {
        *(("credential", name) for name in ("away", "renamed")),
        *(("bucket", f"photos (credentials.{name})") for name in without_token),
        *(("write", f"photos/{name}/* (credentials.{name})") for name in without_token),
        ("write", "nobodys/missing/* (credentials.instance)"),
        ("write", "shanghai/elsewhere/* (credentials.instance)"),
        ("certificate", "localhost"),
    }
    assert "photos/fine/* (credentials.instance)" in {each["subject"] for each in sick.of("write", "ok")}


def test_what_it_wrote_is_gone(hospital: Hospital) -> None:
    """But for the one that no role may remove, whose command to remove it is told."""
    left = {place: keys for place, keys in hospital.objects.items() if keys}
    assert list(left) == [" photos", "later  photos"]
    [key] = left[" photos"]
    assert key.startswith("narrow/good/oss-signer-doctor-")
    [told] = hospital.results["sick"].of("write", "warning")
    assert f"ossutil rm oss://photos/{key}" in told["mend"]
    assert left["later  photos"] == [key]


def test_a_clock_that_is_wrong(hospital: Hospital) -> None:
    told = hospital.results["clock"]
    assert told.status == 1
    assert [each for each in told.findings if each["verdict"] == "failed"] == told.of("clock")
    assert len(told.of("clock")) == 3
    for each in told.of("clock"):
        assert re.search("our clock is (1199|1200|1201) s slow", each["what"])
        assert "chronyc makestep" in each["mend"]
    because = "because our clock is wrong"
    assert {each["subject"] for each in told.of("credential", "not checked")} == {"partner", "chained"}
    assert all(because in each["what"] for each in told.of("write"))
    assert [each["subject"] for each in told.of("wechat", "ok")] == ["fine"]


def test_an_instance_without_a_role(hospital: Hospital) -> None:
    told = hospital.results["no role"]
    [failed] = [each for each in told.findings if each["verdict"] == "failed"]
    assert failed["step"] == "metadata"
    assert "no RAM role is attached" in failed["what"]
    assert """--InstanceIds '["i-local0000000000000"]' --RamRoleName oss-uploader""" in failed["mend"]
    assert {each["subject"] for each in told.of("credential", "not checked")} == {"instance", "chained"}
    assert [each["subject"] for each in told.of("write", "ok")] == ["photos/scoped/* (credentials.partner)"]


def test_definitions_with_a_mistake(hospital: Hospital) -> None:
    told = hospital.results["broken YAML"]
    assert told.status == 1
    [failed, *others] = told.of("definitions", "failed")
    assert "bukcet" in failed["what"]
    assert "bucket" in failed["what"]
    assert failed["subject"].startswith(str(hospital.directory / "broken.yaml:"))
    assert "oss-signer check" in failed["mend"]
    assert told.of("credential", "not checked")
    assert all("definitions" in each["step"] for each in [failed, *others])


def test_a_secret_file_that_cannot_be_read(hospital: Hospital) -> None:
    told = hospital.results["unread secret"]
    [failed] = [each for each in told.findings if each["verdict"] == "failed"]
    assert (failed["step"], failed["subject"]) == ("files", "/nowhere/ak-secret")
    assert "No such file" in failed["what"]
    assert "LoadCredential=" in failed["mend"]
    assert [each["step"] for each in told.of("definitions", "not checked")] == ["definitions"]


def test_an_environment_file_that_cannot_be_read(hospital: Hospital) -> None:
    told = hospital.results["unread environment"]
    [failed] = [each for each in told.findings if each["verdict"] == "failed"]
    assert (failed["step"], failed["subject"]) == ("files", "/nowhere/environment")


def test_a_secret_file_that_everybody_may_read(hospital: Hospital) -> None:
    told = hospital.results["shown secret"]
    assert told.status == 0
    assert [(each["verdict"], each["mend"].split(";")[0]) for each in told.of("files")] == [
        ("warning", f"chmod o-rwx {hospital.directory}/open-secret")
    ]


def test_a_certificate_that_ends_soon_of_one_app(hospital: Hospital) -> None:
    told = hospital.results["one app"]
    [soon] = told.of("certificate", "warning")
    assert "ends in 5 days" in soon["what"]
    assert {each["subject"] for each in told.of("credential")} == {"instance"}
    [domain] = told.of("domain", "failed")
    assert "is not OSS" in domain["what"]


def test_an_app_that_is_not_there(hospital: Hospital) -> None:
    told = hospital.results["no such app"]
    assert told.status == 1
    assert [each["mend"] for each in told.of("definitions", "failed")] == ["did you mean fine?"]


def test_our_own_service_may_hold_the_addresses(hospital: Hospital) -> None:
    told = hospital.results["held by our own"]
    assert [each["what"] for each in told.of("listen", "ok")] == ["is held by an oss-signer that runs already"] * 2


def test_for_people(hospital: Hospital) -> None:
    told = hospital.results["as text"]
    assert told.status == 1
    lines = told.out.splitlines()
    at = next(number for number, line in enumerate(lines) if "there is no such bucket" in line)
    assert lines[at].split()[:3] == ["FAILED", "bucket", "nobodys"]
    assert lines[at + 1].strip().startswith("mend: mend bucket in the definitions")
    assert "3 failed" in lines[-1]
    assert not told.err


async def test_redis_that_answers(tmp_path: Path) -> None:
    async with redis_server(tmp_path / "redis") as redis:
        config = tmp_path / "signer.yaml"
        url = f"redis://127.0.0.1:{redis.port}/0"
        config.write_text(
            f'version: 1\nserver: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", callback_queue: "{url}"}}\n'
            f"limits: {url}\n"
            "credentials: {r: {type: static, access_key_id: x, access_key_secret: y}}\napps: {}\n",
            encoding="utf-8",
        )
        told = await doctor("--config", config, "--json")
        assert [(each["verdict"], each["what"]) for each in told.of("redis")] == [("ok", "answers")] * 2, told.out


def _subject(hospital: Hospital, fault: Fault) -> str:
    return fault.subject.format(
        oss_port=hospital.cloud.oss.rpartition(":")[2], tls=hospital.tls_port, config=hospital.directory / "sick"
    )
